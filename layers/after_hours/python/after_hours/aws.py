"""What goes wrong between us and AWS (or R2, which speaks its language), by one name each."""

from collections.abc import Iterator
from contextlib import contextmanager

from after_hours.errors import ServiceUnavailable


@contextmanager
def faults_as(unavailable: type[ServiceUnavailable]) -> Iterator[None]:
    """Raise `unavailable`, with the error's code as its reason, for whatever botocore raises in the block."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (whoever gets here has imported it)

    try:
        yield
    except ClientError as error:
        raise unavailable(error.response.get("Error", {}).get("Code", "unknown")) from None
    except BotoCoreError as error:
        raise unavailable(type(error).__name__) from None
