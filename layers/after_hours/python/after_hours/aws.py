"""What all our calls to AWS (and to R2, which speaks its language) have in common: clients, faults, a few at a time.

Nothing here is imported before a client is needed: boto3 costs most of a cold start, and reading needs no client.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Event, Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from after_hours.errors import Misconfigured, SecretRefused, SecretsUnavailable, ServiceUnavailable

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.httpsession import URLLib3Session

_SECRETS_TIMEOUT_SECONDS = 2
_TOKEN_SECONDS = 900
_SERVER_ERROR = 500
_THROTTLED = "ThrottlingException"
_CALLS_AT_A_TIME = 8
_SILENCE_SECONDS = 1  # a service that needed so long to fail is down, and is not asked again by the same batch


def client_config(*, connect_seconds: float, read_seconds: float, attempts: int) -> "Config":
    """A client's configuration: how long it waits, and how often it tries in all."""
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )


_creating = Lock()  # boto3 cannot create two clients at once


def client(service: str, *, connect_seconds: float, read_seconds: float, attempts: int) -> Any:  # noqa: ANN401 (as boto3)
    """Return the client of a service, made on first use and kept."""
    with _creating:
        return _client(service, connect_seconds, read_seconds, attempts)


@cache
def _client(service: str, connect_seconds: float, read_seconds: float, attempts: int) -> Any:  # noqa: ANN401
    import boto3  # noqa: PLC0415

    config = client_config(connect_seconds=connect_seconds, read_seconds=read_seconds, attempts=attempts)
    return boto3.client(service, config=config)


@contextmanager
def translate_errors(unavailable: type[ServiceUnavailable]) -> Iterator[None]:
    """Raise `unavailable`, with the error's code as its reason, for whatever botocore raises in the block."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        raise unavailable(error.response.get("Error", {}).get("Code", "unknown")) from None
    except BotoCoreError as error:
        raise unavailable(type(error).__name__) from None


def secret(arn: str, *, region: str) -> str:
    """Return the text of a secret: GetSecretValue, signed by botocore but without a botocore client.

    Every cold start of every function pays for this call, and a client would nearly double what all else costs
    (docs/decisions/cold-start.md; `make bench` measures it). Raises `SecretRefused` when Secrets Manager answers that
    it does not give the secret, else `SecretsUnavailable`.
    """
    from botocore.auth import SigV4Auth  # noqa: PLC0415 (only a function that reads a secret pays for it)
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    request = AWSRequest(
        method="POST",
        url=os.environ.get("AWS_ENDPOINT_URL") or f"https://secretsmanager.{region}.{_domain()}",
        headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"},
        data=json.dumps({"SecretId": arn}),
    )
    SigV4Auth(_credentials(), "secretsmanager", region).add_auth(request)
    try:
        response = _secrets_connection().send(request.prepare())
    except BotoCoreError as error:
        raise SecretsUnavailable(f"Secrets Manager cannot be reached: {type(error).__name__}") from None
    if response.status_code != 200:  # noqa: PLR2004
        fault = response.headers.get("x-amzn-errortype", "")
        passing = response.status_code >= _SERVER_ERROR or _THROTTLED in fault
        raise (SecretsUnavailable if passing else SecretRefused)(
            f"Secrets Manager answered {response.status_code} {fault}"
        )
    try:
        return str(json.loads(response.content)["SecretString"])
    except (ValueError, KeyError):
        raise Misconfigured("a secret in Secrets Manager is not text") from None


def database_token(host: str, port: int, user: str, *, region: str) -> str:
    """Return a password of RDS and Aurora for a user of IAM: good for connecting within 15 minutes. Nothing is sent.

    As botocore's `generate_db_auth_token`, for which a client of RDS would have to be made: an address, signed in its
    query ("Connecting to your DB cluster using IAM authentication", Amazon Aurora User Guide), without its scheme.
    """
    from botocore.auth import SigV4QueryAuth  # noqa: PLC0415 (only a function that connects so pays for it)
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    query = urlencode({"Action": "connect", "DBUser": user})
    request = AWSRequest(method="GET", url=f"https://{host}:{port}/?{query}")
    SigV4QueryAuth(_credentials(), "rds-db", region, expires=_TOKEN_SECONDS).add_auth(request)
    return str(request.url).removeprefix("https://")


def _domain() -> str:
    """Where AWS's services are, as botocore's clients find out: IPv6 has a domain of its own."""
    return "api.aws" if os.environ.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true" else "amazonaws.com"


def _credentials() -> "Credentials":
    """Those that Lambda puts into the environment, for what is signed without a client."""
    from botocore.credentials import Credentials  # noqa: PLC0415

    return Credentials(
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ.get("AWS_SESSION_TOKEN")
    )


@cache
def _secrets_connection() -> "URLLib3Session":
    """One connection for all secrets: a cold start reads two, and setting up TLS costs more than the call."""
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415

    return URLLib3Session(timeout=_SECRETS_TIMEOUT_SECONDS)


def in_parallel[Item, Result](
    call: Callable[[Item], Result], items: Sequence[Item], *, deadline: float
) -> list[tuple[Item, Result | ServiceUnavailable]]:
    """Make one call for each item, a few at a time. Returns the items that were tried, each with its result or fault.

    No call begins after `deadline` (of `time.monotonic`, in seconds), nor once a call has failed by silence: a batch of
    time-outs would cost everyone behind it their turn. `call` is run by threads.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    silent = Event()

    def attempt(item: Item) -> list[tuple[Item, Result | ServiceUnavailable]]:
        began = time.monotonic()
        if silent.is_set() or began > deadline:
            return []
        try:
            return [(item, call(item))]
        except ServiceUnavailable as fault:
            if time.monotonic() - began > _SILENCE_SECONDS:
                silent.set()
            return [(item, fault)]

    if not items:
        return []
    with ThreadPoolExecutor(min(_CALLS_AT_A_TIME, len(items))) as pool:
        return [tried for outcome in pool.map(attempt, items) for tried in outcome]
