"""Access to After Hours: for paying, verified, consenting members alone. The check is never cached and fails closed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from after_hours.entrypoints.errors import (
    AccessCheckFailed,
    ApiError,
    ConsentRequired,
    PremiumRequired,
    VerificationRequired,
)
from after_hours.foundation.database import Database, Parameters, Row
from after_hours.foundation.faults import InternalError, ServiceUnavailable

_ENTITLEMENTS = "SELECT premium, verified, consenting FROM after_hours_entitlements(%(user_id)s)"

_REQUIREMENTS: tuple[tuple[str, type[ApiError]], ...] = (
    ("premium", PremiumRequired),
    ("verified", VerificationRequired),
    ("consenting", ConsentRequired),
)


@dataclass(frozen=True)
class Read[Result]:
    """A statement that reads for a member, and the function that makes the result of its rows.

    The statement takes `user_id`, selects from `after_hours_entitlements` and LEFT JOINs what it reads. So each row has
    the entitlements beside what it read, and there is one row even if there is nothing to read. `result` is called only
    for an entitled member.
    """

    statement: str
    result: Callable[[list[Row]], Result]


def require(database: Database, user_id: str) -> None:
    """Raise unless the member may use After Hours now.

    Raises `PremiumRequired`, `VerificationRequired` or `ConsentRequired`, the first that applies in this order, and
    `AccessCheckFailed` when the check cannot run.
    """
    _entitled(database, _ENTITLEMENTS, {"user_id": user_id})


def read[Result](database: Database, user_id: str, reading: Read[Result], query: Mapping[str, object]) -> Result:
    """Check access and read, in one round trip. Raises what `require` and `reading.result` raise.

    `query` has further parameters of the statement.
    """
    return reading.result(_entitled(database, reading.statement, {**query, "user_id": user_id}))


def change(database: Database, statement: str, parameters: Parameters) -> Row:
    """Run a statement that changes something for a member, and return its row.

    The statement locks the member first (after_hours_lock_member) and joins its row to that of `users`. If it has no
    row, the account was deleted after the access check: this raises `PremiumRequired`, as the check itself would now.
    """
    row = database.find_one(statement, parameters)
    if row is None:
        raise PremiumRequired
    return row


def _entitled(database: Database, statement: str, parameters: Parameters) -> list[Row]:
    """Return the rows of a statement that only reads. Raises unless the first one says that the member is entitled."""
    try:
        rows = database.read_all(statement, parameters)
    except (ServiceUnavailable, InternalError) as error:
        raise AccessCheckFailed(str(error)) from error
    if not rows:
        raise PremiumRequired  # there is no such account
    for entitlement, denial in _REQUIREMENTS:
        if entitlement not in rows[0]:
            raise AccessCheckFailed(f"the row does not say whether the member is {entitlement}")
        if rows[0][entitlement] is not True:
            raise denial
    return rows
