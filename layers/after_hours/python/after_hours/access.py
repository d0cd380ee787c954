"""Who may use After Hours: paying, verified, consenting members. The check runs on every request and fails closed."""

from collections.abc import Callable
from dataclasses import dataclass

from after_hours.database import Database, Parameters, Row
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


@dataclass(frozen=True)
class Read[Result]:
    """What a member may read: the statement, and what is made of its row once the member is known to be entitled.

    The statement takes `user_id` and selects from `after_hours_entitlements`, with what is read joined to it (LEFT
    JOIN): its row has the entitlements beside what is read, and is there even where nothing is.
    """

    statement: str
    result: Callable[[Row], Result]


def require(database: Database, user_id: str) -> None:
    """Return if the member may use After Hours now.

    Raises `PremiumRequired`, `VerificationRequired` or `ConsentRequired`, the first that applies in this order, and
    `AccessCheckFailed` when the question cannot be answered.
    """
    _entitled(database, _ENTITLEMENTS, user_id)


def read[Result](database: Database, user_id: str, what: Read[Result]) -> Result:
    """Return what the member may read, in one round trip. Raises what `require` does, and what `what.result` does."""
    return what.result(_entitled(database, what.statement, user_id))


def change(database: Database, statement: str, parameters: Parameters) -> Row:
    """Return the row of a statement that changes something for a member.

    The statement locks the member first (after_hours_lock_member), and its row is joined to that of `users`: without a
    row, the account was deleted after the access check. Raises `PremiumRequired` then, as the check would by now.
    """
    row = database.find_one(statement, parameters)
    if row is None:
        raise PremiumRequired
    return row


def _entitled(database: Database, statement: str, user_id: str) -> Row:
    """Return the row of a statement that only reads, if the row says that the member is entitled."""
    try:
        row = database.find_one(statement, {"user_id": user_id}, only_reads=True)
    except (ServiceUnavailable, InternalError) as error:
        raise AccessCheckFailed(str(error)) from error
    if row is None:
        raise PremiumRequired  # there is no such account
    for entitlement, denial in _REQUIREMENTS:
        if entitlement not in row:
            raise AccessCheckFailed(f"the row does not say whether the member is {entitlement}")
        if row[entitlement] is not True:
            raise denial
    return row
