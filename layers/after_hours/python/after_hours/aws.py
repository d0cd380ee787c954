"""What all our calls to AWS (and to R2, which speaks its language) have in common: how long they wait, how they fail.

Nothing here is imported before a client is needed: boto3 costs most of a cold start, and reading needs no client.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from after_hours.errors import ServiceUnavailable

if TYPE_CHECKING:
    from botocore.config import Config


def patience(*, connect_seconds: float, read_seconds: float, attempts: int) -> "Config":
    """A client's configuration: how long it waits, and how often it tries in all."""
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )


@contextmanager
def faults_as(unavailable: type[ServiceUnavailable]) -> Iterator[None]:
    """Raise `unavailable`, with the error's code as its reason, for whatever botocore raises in the block."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        raise unavailable(error.response.get("Error", {}).get("Code", "unknown")) from None
    except BotoCoreError as error:
        raise unavailable(type(error).__name__) from None
