"""The transactional outbox: calls that must follow a change are made at least once, and only after it is committed.

The statement that makes a change also writes its tasks (table after_hours_outbox), so that neither exists without the
other. The function that made the change does them at once, best effort, under a lease of 30 seconds. The sweep does
what is due after that. Each failing task has a backoff of its own, so that it delays no other.

https://microservices.io/patterns/data/transactional-outbox.html
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from after_hours.foundation import calls
from after_hours.foundation.database import Database
from after_hours.foundation.faults import ServiceUnavailable
from after_hours.foundation.observability import best_effort, count, count_fault
from after_hours.foundation.storage import Store
from after_hours.outbox import deletions, domain_events, schedules
from after_hours.outbox.tasks import Call, Task

_SECONDS_TO_BEGIN = 2  # a member waits, so no call begins later


class Kind(StrEnum):
    EVENT = "event"
    SCHEDULES = "schedules"
    UPLOADS = "uploads"
    R2 = "r2"


class _Handler(NamedTuple):
    """The calls that do tasks of a kind, and the metrics that count tasks `done` and `faults`."""

    calls: Callable[[Sequence[Task]], list[Call]]
    done: str
    faults: str


_HANDLERS = {
    Kind.EVENT: _Handler(domain_events.calls, "EventsPublished", "EventBusFaults"),
    Kind.SCHEDULES: _Handler(schedules.calls, "SchedulesMade", schedules.FAULTS),
    Kind.UPLOADS: _Handler(lambda tasks: deletions.calls(tasks, Store.UPLOADS), "ObjectsDeleted", "StorageFaults"),
    Kind.R2: _Handler(lambda tasks: deletions.calls(tasks, Store.R2), "ObjectsDeleted", "StorageFaults"),
}

# The lease outlasts the invocation that takes it, so that no other sweep does the same tasks meanwhile.
_CLAIM = """
    WITH due AS (
        SELECT kind, key FROM after_hours_outbox WHERE kind = %(kind)s AND due_at <= now()
        ORDER BY due_at LIMIT 400
        FOR UPDATE SKIP LOCKED
    )
    UPDATE after_hours_outbox task SET due_at = now() + interval '1 minute'
    FROM due WHERE (task.kind, task.key) = (due.kind, due.key)
    RETURNING task.kind, task.key, task.payload, task.attempts, task.version, now() AS read_at
"""

# Done tasks are deleted. Failed ones back off, for ten minutes at most, since the fault may be that of the service. A
# task that another transaction has locked is skipped: it is being written again, or the sweep does it.
_SETTLE = """
    WITH read AS (
        SELECT kind, key, done FROM after_hours_outbox
            JOIN unnest(%(kinds)s::text[], %(keys)s::text[], %(versions)s::bigint[], %(done)s::boolean[])
                AS read (kind, key, version, done)
            USING (kind, key, version)
        FOR UPDATE OF after_hours_outbox SKIP LOCKED
    ), finished AS (
        DELETE FROM after_hours_outbox task USING read WHERE (task.kind, task.key) = (read.kind, read.key) AND read.done
    )
    UPDATE after_hours_outbox task
    SET due_at = now() + least(interval '1 minute' * 2 ^ least(attempts, 10), interval '10 minutes'),
        attempts = attempts + 1
    FROM read WHERE (task.kind, task.key) = (read.kind, read.key) AND NOT read.done
"""


def do_now(database: Database, tasks: Sequence[Task]) -> None:
    """Do the tasks of a change that was just committed, best effort: the sweep does those that fail.

    For example, after the statement that ended a session:
        do_now(database, [row["event"], schedules.task_of(row["id"], row["event"]["version"], None)])
    """
    if schedules.breaker.is_open:
        tasks = [task for task in tasks if task["kind"] != Kind.SCHEDULES]
    done, _ = _do(tasks, time.monotonic() + _SECONDS_TO_BEGIN)
    with best_effort("DatabaseFaults"):
        _settle(database, done, [])


def do_due(database: Database, deadline: float, *, kind: Kind) -> int:
    """Do tasks of a kind that are due, until `deadline` (of `time.monotonic`, in seconds). Return the number done."""
    total = 0
    while time.monotonic() < deadline and (tasks := database.fetch_all(_CLAIM, {"kind": kind})):
        done, failed = _do(tasks, deadline)
        _settle(database, done, failed)
        total += len(done)
        if len(done) + len(failed) < len(tasks):
            break  # the service does not answer, or the time is over
    return total


def _do(tasks: Sequence[Task], deadline: float) -> tuple[list[Task], list[Task]]:
    """Make the calls that the tasks need, several at a time. A task is done when all its calls succeeded.

    Returns the tasks that are done, and those that failed. The others were not tried.
    """
    needed: list[Call] = []
    possible: list[Task] = []
    for kind in Kind:
        with best_effort(_HANDLERS[kind].faults):  # the secret of a store, say, may not be readable
            of_kind = [task for task in tasks if task["kind"] == kind]
            needed += _HANDLERS[kind].calls(of_kind)
            possible += of_kind
    unfinished = Counter(_name(task) for call in needed for task in call.tasks)
    faults: dict[str, ServiceUnavailable] = {}
    for call, outcome in calls.in_parallel(lambda call: call.run(), needed, deadline=deadline):
        for task in call.tasks:
            if isinstance(outcome, ServiceUnavailable):
                faults[_name(task)] = outcome
            elif outcome and task["key"] in outcome:
                faults[_name(task)] = ServiceUnavailable("refused")
            else:
                unfinished[_name(task)] -= 1
    done = [task for task in possible if not unfinished[_name(task)]]
    failed = [task for task in tasks if _name(task) in faults]
    for kind in Kind:
        if number := sum(task["kind"] == kind for task in done):
            count(_HANDLERS[kind].done, number)
        if first := next((faults[_name(task)] for task in failed if task["kind"] == kind), None):
            count_fault(_HANDLERS[kind].faults, first)
    return done, failed


def _settle(database: Database, done: Sequence[Task], failed: Sequence[Task]) -> None:
    if settled := [*done, *failed]:
        columns = {f"{column}s": [task[column] for task in settled] for column in ("kind", "key", "version")}
        database.execute(_SETTLE, {**columns, "done": [True] * len(done) + [False] * len(failed)})


def _name(task: Task) -> str:
    return f"{task['kind']} {task['key']}"
