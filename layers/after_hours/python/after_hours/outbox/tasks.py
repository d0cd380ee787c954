"""Tasks of the outbox, and the calls that do them."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, NotRequired, TypedDict


class Task(TypedDict):
    """A row of after_hours_outbox. `read_at`, on a task of the sweep, is the database's time of its claim.

    `version` identifies the content: a task that is written again has another one.
    """

    kind: str
    key: str
    payload: dict[str, Any]
    attempts: int
    version: int
    read_at: NotRequired[datetime]


class Call(NamedTuple):
    """A call to a service that does one or more tasks, or a part of each. It may run in any thread.

    `run` returns the keys of the tasks that the service refused, if any. It raises `ServiceUnavailable` if none was
    done.
    """

    tasks: Sequence[Task]
    run: Callable[[], Collection[str] | None]
