"""What must follow a session's change outside the database, done at once: its schedules and its events.

Whoever makes the change calls the scheduler and the bus here, best effort, and records what they took. The statement
that made the change holds a lease of 30 seconds for this; the sweep takes over when the lease is over
(docs/decisions/what-follows-a-change.md).
"""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from after_hours import calls, domain_events, schedules
from after_hours.database import Database, Row
from after_hours.domain_events import Event
from after_hours.errors import ServiceUnavailable
from after_hours.observability import best_effort, count_fault
from after_hours.schedules import Change, Times

# The statement records what was done: PostgreSQL runs its last part first, so that the session is locked before the
# events. If the session has changed meanwhile, its schedules were made for an end that it
# no longer has; `scheduled_for` then tells the sweep so.
_RECORD = """
    WITH published AS (
        DELETE FROM after_hours_domain_events WHERE id = ANY(ARRAY(
            SELECT id FROM after_hours_domain_events WHERE id = ANY(%(sent)s::uuid[]) ORDER BY id FOR UPDATE
        ))
    )
    UPDATE after_hours_sessions SET scheduled_for = %(scheduled_for)s, schedule_attempts = 0
    WHERE id = %(id)s AND %(scheduled)s
"""


def after_start(database: Database, started: Row) -> None:
    """Schedule and tell of a new session. The row has `id`, `expires_at`, `expiry`, `warning` and `events`."""
    changes = schedules.making(str(started["id"]), Times(started["expiry"], started["warning"]), new=True)
    _follow(database, started, started["events"], changes, scheduled_for=started["expires_at"])


def after_extension(database: Database, extended: Row) -> None:
    """Move the schedules of a session and tell of it. The row has `id`, `expires_at`, `expiry`, `warning`, `event`."""
    changes = schedules.making(str(extended["id"]), Times(extended["expiry"], extended["warning"]), new=False)
    _follow(database, extended, [extended["event"]], changes, scheduled_for=extended["expires_at"])


def after_end(database: Database, ended: Row) -> None:
    """Delete the schedules of a session and tell of its end. The row has `id`, `scheduled_for` and `event`."""
    changes = schedules.deleting(str(ended["id"])) if ended["scheduled_for"] else []
    _follow(database, ended, [ended["event"]], changes, scheduled_for=None)


def _follow(
    database: Database,
    session: Row,
    events: Sequence[Event],
    changes: Sequence[Change],
    *,
    scheduled_for: datetime | None,
) -> None:
    """Make all calls in parallel, and record in one statement which of them succeeded."""
    send: Callable[[], Any] = partial(domain_events.send, events)
    called = () if schedules.breaker.is_open else changes
    steps: list[Callable[[], Any]] = [send, *(partial(schedules.carry_out, change) for change in called)]
    outcomes = dict(calls.in_parallel(lambda step: step(), steps, deadline=math.inf))
    sent = outcomes.pop(send, ())
    faults = [fault for fault in outcomes.values() if isinstance(fault, ServiceUnavailable)]
    if faults:
        count_fault(schedules.FAULTS, faults[0])
    with best_effort("DatabaseFaults"):
        database.execute(
            _RECORD,
            {
                "id": session["id"],
                "sent": sent,
                "scheduled": len(outcomes) == len(changes) and not faults,
                "scheduled_for": scheduled_for,
            },
        )
