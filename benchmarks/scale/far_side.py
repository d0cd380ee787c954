"""AWS as the benchmarks have it: clients that answer after a moment, and count the calls that were made to them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from after_hours import aws


class Missing(Exception):
    """The scheduler's ResourceNotFoundException."""


class Conflict(Exception):
    """The scheduler's ConflictException."""


class _Exceptions:
    ResourceNotFoundException = Missing
    ConflictException = Conflict


@dataclass
class Scheduler:
    """Every schedule is there, or none is; remembering each would be counted as the sweep's own memory."""

    take_a_moment: Callable[[], None]
    are_there: bool
    calls: int = 0
    exceptions = _Exceptions
    _lock: Lock = field(default_factory=Lock)  # several threads call, and += may lose one

    def create_schedule(self, **_: object) -> None:
        self._answer(Conflict if self.are_there else None)

    def update_schedule(self, **_: object) -> None:
        self._answer(None if self.are_there else Missing)

    def delete_schedule(self, **_: object) -> None:
        self._answer(None if self.are_there else Missing)

    def _answer(self, fault: type[Exception] | None) -> None:
        with self._lock:
            self.calls += 1
        self.take_a_moment()
        if fault:
            raise fault


@dataclass
class Bus:
    """It takes everything, and remembers the ids of the events."""

    take_a_moment: Callable[[], None]
    calls: int = 0
    published: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 (AWS's word)
        with self._lock:
            self.calls += 1
        self.take_a_moment()
        self.published.extend(json.loads(entry["Detail"])["eventId"] for entry in Entries)
        return {"Entries": [{"EventId": "1"}] * len(Entries)}


def install(scheduler: Scheduler, bus: Bus) -> None:
    """Let the package have these where it asks for a client."""
    clients = {"scheduler": scheduler, "events": bus}
    aws.client = lambda service, **_: clients[service]
