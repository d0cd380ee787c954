"""Tasks of the outbox, and the calls that do them."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, NotRequired, TypedDict


class Task(TypedDict):
    """A row of after_hours_outbox, as it was read at `read_at` by the database's clock, where that matters.

    `version` is that of its content: a task that is written anew has another one.
    """

    kind: str
    key: str
    payload: dict[str, Any]
    attempts: int
    version: int
    read_at: NotRequired[datetime]


class Call(NamedTuple):
    """A call to a service that does tasks, or a part of each of them; it may run in a thread.

    `run` returns the keys of those that the service refused, and raises `ServiceUnavailable` when it did none.
    """

    tasks: Sequence[Task]
    run: Callable[[], Collection[str]]
