"""The one-shot schedules of a session in EventBridge Scheduler: one at its end, one five minutes before.

They make an expiry prompt; they never decide it. A call here may fail and a schedule may fire early, late or twice: the
functions behind them ask the database. The row of a session says which end its schedules were made for
(`scheduled_for`), so that the sweep repairs only wrong schedules, and need not list any. It looks at one, since all may
be gone: with their group, or with the whole local AWS.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from after_hours import calls, clients, config
from after_hours.batches import repeat
from after_hours.database import Database, Row
from after_hours.errors import SchedulerUnavailable, ServiceUnavailable
from after_hours.observability import count, count_fault

if TYPE_CHECKING:
    from types_boto3_scheduler import EventBridgeSchedulerClient
    from types_boto3_scheduler.type_defs import CreateScheduleInputTypeDef

FAULTS = "SchedulerFaults"

_MAX_EVENT_AGE_SECONDS = 300
_DELIVERY_RETRIES = 5

# While it is open, members' calls leave schedules to the sweep: thirty functions that waited for a silent scheduler
# each time could serve only seven starts a second. The sweep itself calls the scheduler all the same.
breaker = calls.Breaker(seconds=30)


class Kind(StrEnum):
    EXPIRY = "expiry"
    WARNING = "warning"


_PREFIXES = {Kind.EXPIRY: "expire-", Kind.WARNING: "warn-"}


class ScheduledEvent(BaseModel):
    """What a schedule sends to expire_session when it fires."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, hide_input_in_errors=True
    )

    kind: Kind
    session_id: UUID


class Times(NamedTuple):
    """When a session's schedules fire: `YYYY-MM-DDTHH:MM:SS` in UTC. `warning` is None when its time has passed."""

    expiry: str
    warning: str | None


class Change(NamedTuple):
    """A schedule to make or move or, where `at` is None, to delete. Only if `new` is wrong is a second call needed."""

    session_id: str
    kind: Kind
    at: str | None
    new: bool = False


# The schedules of a session are wrong unless they are for its end while it is open, and for no end when it has ended.
# The times are text for EventBridge Scheduler: rounded up to whole seconds, since an expiry must not fire early, and
# never beyond the last year that it can read. An absurd end is refused there, and that session backs off alone.
_CLAIM_WRONG = """
    WITH wrong AS (
        SELECT id FROM after_hours_sessions
        WHERE scheduled_for IS DISTINCT FROM CASE WHEN ended_at IS NULL THEN expires_at END AND schedule_due_at <= now()
        ORDER BY schedule_due_at LIMIT 200
        FOR UPDATE SKIP LOCKED
    )
    UPDATE after_hours_sessions s SET schedule_due_at = now() + interval '1 minute'
    WHERE s.id = ANY(ARRAY(SELECT id FROM wrong))
    RETURNING
        s.id::text,
        CASE WHEN s.ended_at IS NULL THEN s.expires_at END::text AS wanted_for,
        s.scheduled_for IS NULL AS new,
        s.scheduled_for > now() AS ahead,
        after_hours_schedule_time(s.expires_at) AS expiry,
        CASE WHEN s.expires_at > now() + interval '5 minutes' THEN
            after_hours_schedule_time(s.expires_at - interval '5 minutes')
        END AS warning
"""

# If a session has changed meanwhile, `wanted_for` is not its end any more, and the sweep finds it again; so it does a
# session that another transaction has locked.
_RECORD_RIGHT = """
    WITH free AS (
        SELECT id FROM after_hours_sessions WHERE id = ANY(%(ids)s::uuid[])
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE after_hours_sessions s SET scheduled_for = done.wanted_for, schedule_attempts = 0
    FROM unnest(%(ids)s::uuid[], %(wanted_for)s::timestamptz[]) AS done (id, wanted_for)
    WHERE s.id = done.id AND s.id = ANY(ARRAY(SELECT id FROM free))
"""

_BACK_OFF = """
    WITH free AS (
        SELECT id FROM after_hours_sessions WHERE id = ANY(%(ids)s::uuid[])
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE after_hours_sessions
    SET schedule_due_at = now()
            + least(interval '1 minute' * 2 ^ least(schedule_attempts, 10), interval '10 minutes'),
        schedule_attempts = schedule_attempts + 1
    WHERE id = ANY(ARRAY(SELECT id FROM free))
"""

# The live session whose schedules were made longest ago: when all were lost, those of later sessions are there again.
# Its own must be there, for it is too early for them to have fired and deleted themselves.
_OLDEST = """
    SELECT id, expires_at::text FROM after_hours_sessions
    WHERE ended_at IS NULL AND scheduled_for = expires_at AND expires_at > now() + interval '1 minute'
    ORDER BY schedule_due_at LIMIT 1
"""

# The session whose schedule is missing may have been ended or extended since it was read, and then nothing is lost.
_DOUBT = """
    WITH doubted AS (
        SELECT id FROM after_hours_sessions
        WHERE ended_at IS NULL AND scheduled_for = expires_at AND expires_at > now() + interval '1 minute'
            AND EXISTS (
                SELECT FROM after_hours_sessions
                WHERE id = %(id)s AND ended_at IS NULL
                    AND scheduled_for = expires_at AND expires_at = %(expires_at)s::timestamptz
            )
        ORDER BY schedule_due_at LIMIT 1000
        FOR UPDATE SKIP LOCKED
    )
    UPDATE after_hours_sessions s SET scheduled_for = NULL, schedule_due_at = now(), schedule_attempts = 0
    WHERE s.id = ANY(ARRAY(SELECT id FROM doubted))
"""


def name(kind: Kind, session_id: UUID | str) -> str:
    return f"{_PREFIXES[kind]}{session_id}"


def making(session_id: str, times: Times, *, new: bool) -> list[Change]:
    """Return the changes that make the schedules of a `new` session, or move those of one that most likely has some."""
    changes = [Change(session_id, Kind.EXPIRY, times.expiry, new)]
    return [*changes, Change(session_id, Kind.WARNING, times.warning, new)] if times.warning else changes


def deleting(session_id: str) -> list[Change]:
    """Return the changes that delete the schedules of a session."""
    return [Change(session_id, kind, None) for kind in Kind]


def carry_out(change: Change) -> None:
    """Make, move or delete a schedule, whether or not it is there. Raises `SchedulerUnavailable`."""
    with _scheduler() as scheduler:
        if change.at is None:
            with contextlib.suppress(scheduler.exceptions.ResourceNotFoundException):
                scheduler.delete_schedule(
                    GroupName=config.setting("SCHEDULE_GROUP"), Name=name(change.kind, change.session_id)
                )
        elif change.new:
            try:
                scheduler.create_schedule(**_schedule(change, change.at))
            except scheduler.exceptions.ConflictException:
                scheduler.update_schedule(**_schedule(change, change.at))
        else:
            try:
                scheduler.update_schedule(**_schedule(change, change.at))
            except scheduler.exceptions.ResourceNotFoundException:
                scheduler.create_schedule(**_schedule(change, change.at))


def find_lost(database: Database, deadline: float) -> int:
    """Look whether schedules that were made are still there. Returns the number of sessions that count as without.

    It looks at one schedule. If that is missing, those of a thousand sessions count as never made, the oldest first, so
    that `repair` makes them; and it looks at the next one, until `deadline`.
    """

    def look() -> int:
        session = database.find_one(_OLDEST)
        try:
            if session is None or _is_there(name(Kind.EXPIRY, session["id"])):
                return 0
        except SchedulerUnavailable as fault:  # a scheduler that does not answer has lost nothing
            count_fault(FAULTS, fault)
            return 0
        return database.execute(_DOUBT, session)

    lost = repeat(look, deadline)
    count("SchedulesLost", lost)
    return lost


def repair(database: Database, deadline: float) -> int:
    """Repair wrong and missing schedules, until `deadline`. Returns the number of sessions that were repaired."""
    repaired = 0
    while time.monotonic() < deadline and (wrong := database.fetch_all(_CLAIM_WRONG)):
        needed = {row["id"]: _needed(row) for row in wrong}
        changes = [change for each in needed.values() for change in each]
        outcomes = calls.in_parallel(carry_out, changes, deadline=deadline)
        faults = {change.session_id: fault for change, fault in outcomes if isinstance(fault, ServiceUnavailable)}
        tried = {change for change, _ in outcomes}
        right = [row for row in wrong if row["id"] not in faults and tried.issuperset(needed[row["id"]])]
        if right:
            database.execute(
                _RECORD_RIGHT,
                {"ids": [row["id"] for row in right], "wanted_for": [row["wanted_for"] for row in right]},
            )
            repaired += len(right)
        if faults:
            database.execute(_BACK_OFF, {"ids": list(faults)})
            count_fault(FAULTS, next(iter(faults.values())))
        if len(outcomes) < len(changes):
            break  # the scheduler is silent, or the time is over
    return repaired


def _is_there(schedule: str) -> bool:
    with _scheduler() as scheduler:
        try:
            scheduler.get_schedule(GroupName=config.setting("SCHEDULE_GROUP"), Name=schedule)
        except scheduler.exceptions.ResourceNotFoundException:
            return False
        return True


@contextlib.contextmanager
def _scheduler() -> "Iterator[EventBridgeSchedulerClient]":
    """Yield the client. Raises `SchedulerUnavailable` for what it raises."""
    with breaker.watching(), clients.translated(SchedulerUnavailable):
        yield clients.scheduler()


def _needed(row: Row) -> Sequence[Change]:
    """Return the changes that repair a session's schedules. Those whose time has passed have deleted themselves."""
    if row["wanted_for"]:
        return making(row["id"], Times(row["expiry"], row["warning"]), new=row["new"])
    return deleting(row["id"]) if row["ahead"] else ()


def _schedule(change: Change, at: str) -> "CreateScheduleInputTypeDef":
    event = ScheduledEvent(kind=change.kind, session_id=UUID(change.session_id))
    return {
        "GroupName": config.setting("SCHEDULE_GROUP"),
        "Name": name(change.kind, change.session_id),
        "ScheduleExpression": f"at({at})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": config.setting("EXPIRE_FUNCTION_ARN"),
            "RoleArn": config.setting("SCHEDULER_ROLE_ARN"),
            "Input": event.model_dump_json(by_alias=True),
            "DeadLetterConfig": {"Arn": config.setting("SCHEDULE_DEAD_LETTER_ARN")},
            "RetryPolicy": {
                "MaximumEventAgeInSeconds": _MAX_EVENT_AGE_SECONDS,
                "MaximumRetryAttempts": _DELIVERY_RETRIES,
            },
        },
    }
