"""Fake clients of AWS: their services answer after a moment, and count the calls made to them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from types import SimpleNamespace
from typing import Any

from after_hours.foundation import clients


class _Conflict(Exception): ...


class _Missing(Exception): ...


@dataclass
class Scheduler:
    """Has every schedule, or none: remembering each would count as the memory of the sweep that is measured.

    Either way a schedule that is looked at is there, since it was made.
    """

    take_a_moment: Callable[[], None]
    are_there: bool
    calls: int = 0
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(ConflictException=_Conflict, ResourceNotFoundException=_Missing)
    )
    _lock: Lock = field(default_factory=Lock)  # several threads call, and += may lose one

    def create_schedule(self, **_: object) -> None:
        self._answer(_Conflict if self.are_there else None)

    def update_schedule(self, **_: object) -> None:
        self._answer(None if self.are_there else _Missing)

    delete_schedule = update_schedule

    def get_schedule(self, **_: object) -> None:
        self._answer(None)

    def _answer(self, fault: type[Exception] | None) -> None:
        with self._lock:
            self.calls += 1
        self.take_a_moment()
        if fault:
            raise fault


@dataclass
class Bus:
    """Takes everything, and remembers the ids of the events."""

    take_a_moment: Callable[[], None]
    calls: int = 0
    published: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 (boto3's name)
        with self._lock:
            self.calls += 1
        self.take_a_moment()
        self.published.extend(json.loads(entry["Detail"])["eventId"] for entry in Entries)
        return {"Entries": [{"EventId": "1"}] * len(Entries)}


def install(scheduler: Scheduler, bus: Bus) -> None:
    """Put the fakes in the place of the clients of EventBridge Scheduler and EventBridge."""
    clients.scheduler = lambda: scheduler  # type: ignore[assignment]
    clients.event_bus = lambda: bus  # type: ignore[assignment,return-value]
