"""Fake services of AWS within this process: they answer after a moment, and count the calls made to them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import Any

from after_hours import aws
from after_hours.aws import Answer

_DONE = Answer(HTTPStatus.OK, {}, "")
_CONFLICT = Answer(HTTPStatus.CONFLICT, {}, "ConflictException")
_MISSING = Answer(HTTPStatus.NOT_FOUND, {}, "ResourceNotFoundException")


@dataclass
class Scheduler:
    """Has every schedule, or none: remembering each would count as the memory of the sweep that is measured."""

    take_a_moment: Callable[[], None]
    are_there: bool
    calls: int = 0
    _lock: Lock = field(default_factory=Lock)  # several threads call, and += may lose one

    def ask(self, method: str, _content: object) -> Answer:
        with self._lock:
            self.calls += 1
        self.take_a_moment()
        if method == "POST":
            return _CONFLICT if self.are_there else _DONE
        return _DONE if self.are_there else _MISSING


@dataclass
class Bus:
    """A fake bus that takes everything, and remembers the ids of the events."""

    take_a_moment: Callable[[], None]
    calls: int = 0
    published: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def ask(self, _method: str, content: Any) -> Answer:  # noqa: ANN401 (JSON)
        with self._lock:
            self.calls += 1
        self.take_a_moment()
        self.published.extend(json.loads(entry["Detail"])["eventId"] for entry in content["Entries"])
        return Answer(HTTPStatus.OK, {"Entries": [{"EventId": "1"}] * len(content["Entries"])}, "")


def install(scheduler: Scheduler, bus: Bus) -> None:
    """Put the fakes in the place of EventBridge Scheduler and EventBridge; other services are asked as ever."""
    services: dict[str, Scheduler | Bus] = {"scheduler": scheduler, "events": bus}
    ask_aws = aws.Service.ask

    def ask(service: aws.Service, method: str, path: str, content: object, **options: Any) -> Answer:  # noqa: ANN401 (its own)
        if fake := services.get(service.name):
            return fake.ask(method, content)
        return ask_aws(service, method, path, content, **options)

    aws.Service.ask = ask  # type: ignore[method-assign,assignment]
