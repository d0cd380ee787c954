"""The clients of AWS and R2, all boto3's. Each is made once in a process, with its own timeouts and retries.

To make a client, boto3 reads the description of its service, which takes longer than a call. So the factories of
functions (`api`, `jobs`) call `prepare` while Lambda initializes a function, with a full processor. Elsewhere a client
is made on first use. Using a client is thread-safe.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import ServiceId
from botocore.signers import RequestSigner

from after_hours.foundation.faults import Misconfigured, ServiceUnavailable

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_s3 import S3Client
    from types_boto3_scheduler import EventBridgeSchedulerClient
    from types_boto3_secretsmanager import SecretsManagerClient

type Maker = Callable[[], Any]

_LONGEST_REASON = 300  # characters of AWS's message that are logged
_TOKEN_SECONDS = 900
_IDLE_SECONDS = 60


@dataclass(frozen=True)
class Limits:
    """Seconds to connect to one address, seconds to wait for the next bytes, and the number of attempts."""

    read_seconds: float
    attempts: int
    connect_seconds: float = 1

    def config(self, **further: Any) -> Config:  # noqa: ANN401 (Config's own)
        return Config(
            connect_timeout=self.connect_seconds,
            read_timeout=self.read_seconds,
            retries={"mode": "standard", "total_max_attempts": self.attempts},
            user_agent_extra="after-hours",
            **further,
        )


# A member may wait for any of these calls. The sweep repeats failed ones to the scheduler, the bus and the stores. A
# call to the bus is not retried at once, since a bus that did not answer may have published the events.
SECRETS = Limits(read_seconds=2, attempts=2)
SCHEDULER = Limits(read_seconds=2, attempts=2)
EVENT_BUS = Limits(read_seconds=1, attempts=1)
STORES = Limits(read_seconds=3, attempts=2)

_making = Lock()  # making a client is not thread-safe
_event_bus_used_at = 0.0


@cache
def secrets_manager() -> "SecretsManagerClient":
    with _making:
        client: SecretsManagerClient = _session().client("secretsmanager", config=SECRETS.config())
    return client


@cache
def scheduler() -> "EventBridgeSchedulerClient":
    with _making:
        client: EventBridgeSchedulerClient = _session().client("scheduler", config=SCHEDULER.config())
    return client


def event_bus() -> "EventBridgeClient":
    """Return the client of the bus. After a minute without use it opens new connections.

    Networks drop idle connections silently, and a call to the bus is not retried.
    """
    global _event_bus_used_at  # noqa: PLW0603 (by the wall clock, which goes on while Lambda freezes a function)
    now = time.time()
    if now - _event_bus_used_at > _IDLE_SECONDS:
        _event_bus().close()
    _event_bus_used_at = now
    return _event_bus()


@cache
def _event_bus() -> "EventBridgeClient":
    with _making:
        client: EventBridgeClient = _session().client("events", config=EVENT_BUS.config())
    return client


@cache
def uploads() -> "S3Client":
    """Return the client of the bucket that phones upload to."""
    # Outside us-east-1 S3 would redirect a form for the bucket's global address, and phones do not follow.
    config = _s3_config(addressing_style="virtual", us_east_1_regional_endpoint="regional")
    with _making:
        client: S3Client = _session().client("s3", config=config)
    return client


@lru_cache(maxsize=2)  # more than one while a key is rotated
def r2(endpoint_url: str, region: str, access_key_id: str, secret_access_key: str) -> "S3Client":
    with _making:
        client: S3Client = _session().client(
            "s3",
            config=_s3_config(addressing_style="path"),
            endpoint_url=endpoint_url,
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
        )
    return client


def _s3_config(**s3: str) -> Config:
    # R2 refuses the checksums that boto3 sends by default since 1.36.
    return STORES.config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3=s3,
    )


@cache
def _session() -> boto3.Session:
    return boto3.Session()


def prepare(*makers: Maker) -> None:
    """Make clients now, if Lambda is initializing this function; otherwise leave them to their first use."""
    if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
        for make in makers:
            make()


_CACHED = (_session, secrets_manager, scheduler, _event_bus, uploads, r2)


def start_anew() -> None:
    """Forget all clients, so that each is made again on its next use."""
    for maker in _CACHED:
        maker.cache_clear()


@contextmanager
def translated(
    unavailable: type[ServiceUnavailable], *, refused: type[ServiceUnavailable] | None = None, hiding: str = ""
) -> Iterator[None]:
    """Turn botocore's exceptions into a fault with AWS's code, message and request id.

    Raises `unavailable` when there was no answer or a later call may succeed, and `refused` (by default the same) when
    AWS refused the call. `hiding` is a text that must not reach the log: it is replaced in AWS's message.
    """
    try:
        yield
    except ClientError as error:
        fault = unavailable if _is_transient(error) else refused or unavailable
        raise fault(_reason(error, hiding)) from None
    except BotoCoreError as error:
        raise unavailable(type(error).__name__) from None  # its message may quote a URL, and so a key


def _is_transient(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    throttled = status == HTTPStatus.TOO_MANY_REQUESTS or "Throttl" in _code(error)
    return throttled or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "unknown")


def _reason(error: ClientError, hiding: str) -> str:
    message = error.response.get("Error", {}).get("Message", "")
    if hiding:
        message = message.replace(hiding, "…")
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId", "unknown")
    return f"{_code(error)}: {message[:_LONGEST_REASON]} (request {request_id})"


def database_token(host: str, port: int, user: str) -> str:
    """Return a password by which a database user with IAM authentication can connect for 15 minutes. It makes no call.

    It is what botocore's `generate_db_auth_token` returns, without a client of RDS: a presigned URL without its scheme
    ("Connecting to your DB cluster using IAM authentication", Amazon Aurora User Guide). Raises `Misconfigured` when
    there are no credentials.
    """
    session = _session()
    credentials, region = session.get_credentials(), session.region_name
    if credentials is None or region is None:
        raise Misconfigured("AWS gives this function no credentials, or no region")
    signer = RequestSigner(ServiceId("rds"), region, "rds-db", "v4", credentials, session.events)
    request = {
        "method": "GET",
        "url": f"https://{host}:{port}/",
        "headers": {},
        "body": {"Action": "connect", "DBUser": user},
        "context": {},
    }
    url: str = signer.generate_presigned_url(request, operation_name="connect", expires_in=_TOKEN_SECONDS)
    return url.removeprefix("https://")
