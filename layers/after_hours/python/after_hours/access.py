"""Who may use After Hours: paying, verified, consenting members, checked on every request and failing closed."""

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

# True, False or NULL for each entitlement of the user `u`. NULL is no.
ENTITLEMENTS = """
    EXISTS (
        SELECT FROM user_subscriptions s
        WHERE s.user_id = u.id AND s.is_active AND (s.expires_at IS NULL OR s.expires_at > now())
    ) AS premium,
    u.id_verified AS verified,
    u.after_hours_consent AS consenting
"""

# Whether a row's user `{user_id}` lacks one of them, or is gone.
LAPSED = f"""
    (
        SELECT premium AND verified AND consenting
        FROM (SELECT {ENTITLEMENTS} FROM users u WHERE u.id = {{user_id}}) AS member
    ) IS NOT TRUE
"""

_ACCESS = f"SELECT {ENTITLEMENTS} FROM users u WHERE u.id = %(user_id)s"

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
        entitlements = database.fetch_one(_ACCESS, {"user_id": user_id})
    except (ServiceUnavailable, InternalError) as error:
        raise AccessCheckFailed(str(error)) from error
    for entitlement, denial in _REQUIREMENTS:
        if entitlements is None or entitlements[entitlement] is not True:
            raise denial
