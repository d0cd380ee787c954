"""Who may use After Hours: paying, verified, consenting members. The check runs on every request and fails closed."""

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
    """What a member may read: the statement, and what is made of its rows once the member is known to be entitled.

    The statement takes `user_id` and selects from `after_hours_entitlements`, with what is read joined to it (LEFT
    JOIN): each row has the entitlements beside what is read, and there is one even where nothing is to be read.
    """

    statement: str
    result: Callable[[list[Row]], Result]


def require(database: Database, user_id: str) -> None:
    """Raise unless the member may use After Hours now.

    Raises `PremiumRequired`, `VerificationRequired` or `ConsentRequired`, the first that applies in this order, and
    `AccessCheckFailed` when the question cannot be answered.
    """
    _entitled(database, _ENTITLEMENTS, {"user_id": user_id})


def read[Result](database: Database, user_id: str, what: Read[Result], query: Mapping[str, object]) -> Result:
    """Return what the member may read, in one round trip. Raises what `require` does, and what `what.result` does.

    `query` are further parameters of the statement.
    """
    return what.result(_entitled(database, what.statement, {**query, "user_id": user_id}))


def change(database: Database, statement: str, parameters: Parameters) -> Row:
    """Return the row of a statement that changes something for a member.

    The statement locks the member first (after_hours_lock_member), and its row is joined to that of `users`: without a
    row, the account was deleted after the access check. Raises `PremiumRequired` then, as the check would by now.
    """
    row = database.find_one(statement, parameters)
    if row is None:
        raise PremiumRequired
    return row


def _entitled(database: Database, statement: str, parameters: Parameters) -> list[Row]:
    """Return the rows of a statement that only reads, if the first says that the member is entitled."""
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
