"""Who may use After Hours: paying, verified, consenting members. The check runs on every request and fails closed."""

from after_hours.database import Database
from after_hours.errors import (
    AccessCheckFailed,
    ApiError,
    ConsentRequired,
    InternalError,
    PremiumRequired,
    ServiceUnavailable,
    VerificationRequired,
)

_ENTITLEMENTS = "SELECT premium, verified, consenting FROM after_hours_entitlements(%(user_id)s)"

_REQUIREMENTS: tuple[tuple[str, type[ApiError]], ...] = (
    ("premium", PremiumRequired),
    ("verified", VerificationRequired),
    ("consenting", ConsentRequired),
)


def require(database: Database, user_id: str) -> None:
    """Return if the member may use After Hours now.

    Raises `PremiumRequired`, `VerificationRequired` or `ConsentRequired`, the first that applies in this order, and
    `AccessCheckFailed` when the question cannot be answered.
    """
    try:
        entitlements = database.find_one(_ENTITLEMENTS, {"user_id": user_id}, only_reads=True)
    except (ServiceUnavailable, InternalError) as error:
        raise AccessCheckFailed(str(error)) from error
    for entitlement, denial in _REQUIREMENTS:
        if entitlements is None or entitlements[entitlement] is not True:
            raise denial
