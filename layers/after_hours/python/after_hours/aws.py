"""How we call AWS: signed JSON over connections that are kept, with retries, and several calls in parallel.

The calls are made without boto3, since two of its clients would double a cold start (docs/decisions/cold-start.md).
Only `storage` uses boto3, for S3 and R2: objects and upload forms take more than a signed call.
"""

import json
import os
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from after_hours.connections import Connection
from after_hours.errors import Misconfigured, SecretRefused, SecretsUnavailable, ServiceUnavailable
from after_hours.signing import Signer

_AMAZON = Path(__file__).with_name("root-certificates") / "amazon.pem"  # infra/build.py makes it
_TOKEN_SECONDS = 900
_PAUSE_SECONDS = 0.1
_CALLS_AT_A_TIME = 8
_SILENCE_SECONDS = 1  # a service that needed so long to fail is down, and is not asked again by the same batch


class Answer(NamedTuple):
    """What a service says to a request: `fault` is AWS's name for why it refuses, and empty when it does not."""

    status: int
    content: Mapping[str, Any]
    fault: str


class NoAnswer(HTTPException):
    """What came is nothing that a service of AWS says: somebody else answered."""


@dataclass(frozen=True)
class Service:
    """A service of AWS that takes and gives JSON.

    `name` is that of its host and of its signatures, `variable` what AWS_ENDPOINT_URL_… calls it. It is waited for
    `timeout_seconds` when connecting, and again for its answer; `attempts` is how often it is asked in all. A service
    that is `idempotent` may have been asked once more: when a connection that was kept ends in place of an answer. Its
    host has IPv6 in `ipv6_domain`, which for most is a domain of its own.
    """

    name: str
    variable: str
    timeout_seconds: float
    attempts: int
    unavailable: type[ServiceUnavailable]
    idempotent: bool = True
    ipv6_domain: str = "api.aws"

    def ask(self, method: str, path: str, content: object, *, region: str, operation: str | None = None) -> Answer:
        """Send a request, with `content` as JSON unless it is None.

        `operation` names what is asked of a service whose requests all have one path.

        Raises `unavailable` when no answer comes, or only that the service cannot answer now (5xx, throttling). The
        request may have been carried out all the same.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                answer = self._answer(method, path, content, region, operation)
            except (OSError, HTTPException) as error:
                fault = type(error).__name__
            else:
                if not _passes(answer):
                    return answer
                fault = f"{answer.status} {answer.fault}".strip()
            if attempt < self.attempts:
                time.sleep(_PAUSE_SECONDS)
        raise self.unavailable(fault)

    def url(self, region: str) -> str:
        """Return the service's endpoint, as boto3 would resolve it."""
        elsewhere = os.environ.get(f"AWS_ENDPOINT_URL_{self.variable}") or os.environ.get("AWS_ENDPOINT_URL")
        dual_stack = os.environ.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true"
        own = f"https://{self.name}.{region}.{self.ipv6_domain if dual_stack else 'amazonaws.com'}"
        return (elsewhere or own).rstrip("/")

    def _answer(self, method: str, path: str, content: object, region: str, operation: str | None) -> Answer:
        url, body = self.url(region), b"" if content is None else json.dumps(content).encode()
        headers = {"content-type": "application/json"}
        if operation:
            headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": operation}
        signer = Signer.of_function(self.name, region)
        signed = signer.headers(method, url + path, headers, body, at=datetime.now(UTC))
        response, text = self._send(url, method, urlsplit(url).path + path, body, signed)
        return _read(response.status, response.headers.get("x-amzn-errortype", ""), text)

    def _send(
        self, url: str, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[HTTPResponse, bytes]:
        """Ask over a connection that was kept, and over a new one where there is none or where it turns out to be over.

        The service may close it while the request is on its way, or just after it carried the request out.
        """
        if kept := self._kept_connection(url):
            try:
                answer = kept.ask(method, path, body, headers, seconds=self.timeout_seconds)
            except (ConnectionError, ssl.SSLError):
                if not self.idempotent:
                    raise
            else:
                _kept[self, url].append(kept)
                return answer
        tls = None if urlsplit(url).scheme == "http" else _tls()
        new = Connection(url, seconds=self.timeout_seconds, tls=tls)
        answer = new.ask(method, path, body, headers, seconds=self.timeout_seconds)
        _kept[self, url].append(new)
        return answer

    def _kept_connection(self, url: str) -> Connection | None:
        """Return a connection that nobody uses and that may be used again, if there is one."""
        kept = _kept[self, url]
        while True:
            try:
                connection = kept.pop()
            except IndexError:  # not asked before: another thread may take the last one between asking and taking
                return None
            if connection.is_usable():
                return connection
            connection.close()


_kept: defaultdict[tuple[Service, str], list[Connection]] = defaultdict(list)  # appending and popping is atomic


@cache
def _tls() -> ssl.SSLContext:
    """Trust Amazon's five certificate authorities: reading all public ones would take a quarter of a cold start."""
    return ssl.create_default_context(cafile=_AMAZON)


def _passes(answer: Answer) -> bool:
    """Tell whether the fault, if it is one, is such that the same request may be answered later."""
    throttled = answer.status == HTTPStatus.TOO_MANY_REQUESTS or "Throttling" in answer.fault
    return throttled or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _read(status: int, fault: str, text: bytes) -> Answer:
    """Raises `NoAnswer` for what is no success of AWS's, and does not say that it is none."""
    try:
        content: object = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        content = None
    members: dict[str, Any] | None = content if isinstance(content, dict) else None
    if status >= HTTPStatus.BAD_REQUEST:
        named = fault.partition(":")[0] or str((members or {}).get("__type", "")).rpartition("#")[2]
        return Answer(status, members or {}, named or "unknown")
    if members is None or not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise NoAnswer
    return Answer(status, members, "")


_SECRETS = Service(
    "secretsmanager",
    "SECRETS_MANAGER",
    timeout_seconds=2,
    attempts=1,
    unavailable=SecretsUnavailable,
    ipv6_domain="amazonaws.com",  # "AWS Secrets Manager endpoints", its User Guide; in api.aws it has no host
)


def secret(arn: str, *, region: str) -> str:
    """Return the text of a secret.

    Raises `SecretRefused` when Secrets Manager answers that it does not give the secret, else `SecretsUnavailable`.
    """
    answer = _SECRETS.ask("POST", "/", {"SecretId": arn}, region=region, operation="secretsmanager.GetSecretValue")
    if answer.fault:
        raise SecretRefused(f"Secrets Manager answered {answer.status} {answer.fault}")
    if "SecretString" not in answer.content:
        raise Misconfigured("a secret in Secrets Manager is not text")
    return str(answer.content["SecretString"])


def database_token(host: str, port: int, user: str, *, region: str) -> str:
    """Return a password by which a database user with IAM authentication can connect for 15 minutes. Nothing is sent.

    It is what botocore's `generate_db_auth_token` returns: a presigned URL without its scheme ("Connecting to your DB
    cluster using IAM authentication", Amazon Aurora User Guide).
    """
    signer = Signer.of_function("rds-db", region)
    query = {"Action": "connect", "DBUser": user}
    token = signer.address(f"https://{host}:{port}/", query, at=datetime.now(UTC), seconds=_TOKEN_SECONDS)
    return token.removeprefix("https://")


def in_parallel[Item, Result](
    call: Callable[[Item], Result], items: Sequence[Item], *, deadline: float
) -> list[tuple[Item, Result | ServiceUnavailable]]:
    """Make one call for each item, a few at a time. Returns the items that were tried, each with its result or fault.

    No call begins after `deadline` (of `time.monotonic`, in seconds), nor once a call has timed out: a batch of
    timeouts would leave no time for what comes after it. `call` runs in several threads.
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
