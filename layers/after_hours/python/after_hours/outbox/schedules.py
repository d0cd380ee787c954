"""The one-shot schedules of a session in EventBridge Scheduler: one at its end, one five minutes before.

They make an expiry prompt but never decide it. A call here may fail, and a schedule may fire early, late or twice, so
expire_session asks the database. Whenever the end of a session changes, a trigger writes a task for its schedules to
the outbox. The sweep checks that one schedule still exists, since all may be lost: with their group, or with the whole
local AWS.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from after_hours.foundation import clients, settings
from after_hours.foundation.calls import Breaker
from after_hours.foundation.database import Database
from after_hours.foundation.faults import SchedulerUnavailable
from after_hours.foundation.observability import best_effort, count
from after_hours.outbox.tasks import Call, Task

if TYPE_CHECKING:
    from types_boto3_scheduler import EventBridgeSchedulerClient
    from types_boto3_scheduler.type_defs import CreateScheduleInputTypeDef

FAULTS = "SchedulerFaults"

WARNING_BEFORE = timedelta(minutes=5)
_MAX_EVENT_AGE_SECONDS = 300
_DELIVERY_RETRIES = 5

# While it is open, members' calls leave schedules to the sweep, which still calls the scheduler. Thirty functions that
# each waited for a silent scheduler could serve only seven starts a second.
breaker = Breaker(seconds=30)


class ScheduleKind(StrEnum):
    EXPIRY = "expiry"
    WARNING = "warning"


_PREFIXES = {ScheduleKind.EXPIRY: "expire-", ScheduleKind.WARNING: "warn-"}


class ScheduledEvent(BaseModel):
    """The event that a schedule sends to expire_session when it fires."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, hide_input_in_errors=True
    )

    kind: ScheduleKind
    session_id: UUID


class Change(NamedTuple):
    """A schedule to make or move (UTC, in whole seconds) or, where `at` is None, to delete.

    `new` is a guess that the schedule does not exist yet: a wrong one costs a second call.
    """

    session_id: str
    kind: ScheduleKind
    at: datetime | None
    new: bool = False


# The live session that ends soonest most likely existed when schedules were lost. Sessions with a task in the outbox do
# not count, nor do those whose schedule may have fired. The inner LIMIT bounds the cost when very many have a task.
_SOONEST = """
    SELECT id::text, expires_at FROM (
        SELECT id, expires_at FROM after_hours_sessions
        WHERE ended_at IS NULL AND expires_at > now() + interval '1 minute'
        ORDER BY expires_at LIMIT 100
    ) AS session
    WHERE NOT EXISTS (SELECT FROM after_hours_outbox WHERE kind = 'schedules' AND key = session.id::text)
    ORDER BY expires_at LIMIT 1
"""

# A session that was ended or extended since `_SOONEST` read it has lost no schedule.
_IS_STILL_LIVE = """
    SELECT FROM after_hours_sessions WHERE id = %(id)s AND ended_at IS NULL AND expires_at = %(expires_at)s
"""

_MAKE_ANEW = """
    WITH slice AS (
        SELECT id, expires_at FROM after_hours_sessions
        WHERE ended_at IS NULL AND id > %(after)s
        ORDER BY id LIMIT 1000
    ), written AS (
        INSERT INTO after_hours_outbox (kind, key, payload, due_at)
        SELECT
            'schedules', id,
            jsonb_build_object('expiresAt', after_hours_utc(least(expires_at, '9999-12-31Z')), 'new', true), now()
        FROM slice WHERE expires_at > now() + interval '1 minute'
        ORDER BY id::text
        ON CONFLICT (kind, key) DO NOTHING
        RETURNING key
    )
    SELECT (SELECT count(*) FROM written) AS sessions, (SELECT id FROM slice ORDER BY id DESC LIMIT 1) AS last
"""


def name(kind: ScheduleKind, session_id: UUID | str) -> str:
    return f"{_PREFIXES[kind]}{session_id}"


def task_of(session_id: UUID, version: int, expires_at: datetime | None, *, new: bool = False) -> Task:
    """Return the task that the trigger wrote for a session with this end; None deletes the schedules."""
    payload = {"expiresAt": expires_at.isoformat() if expires_at else None, "new": new}
    return {"kind": "schedules", "key": str(session_id), "payload": payload, "attempts": 0, "version": version}


def calls(tasks: Sequence[Task]) -> list[Call]:
    """Return the calls that make, move or delete the schedules of sessions, one for each schedule."""
    return [Call([task], partial(carry_out, change)) for task in tasks for change in _changes(task)]


def _changes(task: Task) -> list[Change]:
    """Return the changes that a task asks for. A warning whose time has passed is not scheduled."""
    session_id, new = task["key"], bool(task["payload"].get("new"))
    if task["payload"]["expiresAt"] is None:
        return [Change(session_id, kind, None) for kind in ScheduleKind]
    expires_at = datetime.fromisoformat(task["payload"]["expiresAt"])
    changes = [Change(session_id, ScheduleKind.EXPIRY, expires_at, new)]
    if "read_at" not in task or expires_at - WARNING_BEFORE > task["read_at"]:
        changes.append(Change(session_id, ScheduleKind.WARNING, expires_at - WARNING_BEFORE, new))
    return changes


def carry_out(change: Change) -> None:
    """Make, move or delete a schedule, whether or not it exists. Raises `SchedulerUnavailable`."""
    with _scheduler() as scheduler:
        if change.at is None:
            with contextlib.suppress(scheduler.exceptions.ResourceNotFoundException):
                scheduler.delete_schedule(
                    GroupName=settings.required("SCHEDULE_GROUP"), Name=name(change.kind, change.session_id)
                )
        else:
            create, update = scheduler.create_schedule, scheduler.update_schedule
            first, second = (create, update) if change.new else (update, create)
            try:
                first(**_schedule(change, change.at))
            except (scheduler.exceptions.ConflictException, scheduler.exceptions.ResourceNotFoundException):
                second(**_schedule(change, change.at))


def find_lost(database: Database, deadline: float) -> int:
    """Check that one schedule exists. If it is missing, write tasks for the schedules of all live sessions.

    Returns the number of tasks. `deadline` is a time of `time.monotonic`, in seconds.
    """
    lost, after = 0, UUID(int=0) if _one_is_missing(database) else None
    while after is not None and time.monotonic() < deadline:
        slice_ = database.fetch_one(_MAKE_ANEW, {"after": after})
        lost += slice_["sessions"]
        after = slice_["last"]
    count("SchedulesLost", lost)
    return lost


def _one_is_missing(database: Database) -> bool:
    session = database.find_one(_SOONEST)
    if session is None:
        return False
    missing = False  # without an answer, no schedule counts as lost
    with best_effort(FAULTS), _scheduler() as scheduler:
        try:
            schedule = name(ScheduleKind.EXPIRY, session["id"])
            scheduler.get_schedule(GroupName=settings.required("SCHEDULE_GROUP"), Name=schedule)
        except scheduler.exceptions.ResourceNotFoundException:
            missing = True
    return missing and database.find_one(_IS_STILL_LIVE, session) is not None


@contextlib.contextmanager
def _scheduler() -> "Iterator[EventBridgeSchedulerClient]":
    """Yield the client, and turn its errors into `SchedulerUnavailable`."""
    with breaker.watching(), clients.translated(SchedulerUnavailable):
        yield clients.scheduler()


def _schedule(change: Change, at: datetime) -> "CreateScheduleInputTypeDef":
    event = ScheduledEvent(kind=change.kind, session_id=UUID(change.session_id))
    whole = (at.astimezone(UTC) + timedelta(microseconds=999_999)).replace(microsecond=0)  # rounded up
    return {
        "GroupName": settings.required("SCHEDULE_GROUP"),
        "Name": name(change.kind, change.session_id),
        "ScheduleExpression": f"at({whole:%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": settings.required("EXPIRE_FUNCTION_ARN"),
            "RoleArn": settings.required("SCHEDULER_ROLE_ARN"),
            "Input": event.model_dump_json(by_alias=True),
            "DeadLetterConfig": {"Arn": settings.required("SCHEDULE_DEAD_LETTER_ARN")},
            "RetryPolicy": {
                "MaximumEventAgeInSeconds": _MAX_EVENT_AGE_SECONDS,
                "MaximumRetryAttempts": _DELIVERY_RETRIES,
            },
        },
    }
