"""EventBridge, its scheduler and the stores in this process. No AWS but the package's: memory is measured."""

import json
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

from after_hours.foundation import clients, storage


class FakeServices:
    """The bus, the scheduler and the stores in this process: each call succeeds after a moment.

    They remember no schedule and no object, which would count as the memory of the sweep that is measured.
    """

    def __init__(self, take_a_moment: Callable[[], None] = lambda: None) -> None:
        self._take_a_moment = take_a_moment
        self._calls = count()  # several threads call, and += may lose one
        self.published: list[str] = []

    def calls(self) -> int:
        """Return the number of calls until now. To be asked once."""
        return next(self._calls)

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 (boto3's name)
        self._succeed()
        self.published += [json.loads(entry["Detail"])["eventId"] for entry in Entries]
        return {"Entries": [{"EventId": "1"}] * len(Entries)}

    def _succeed(self, **_: object) -> None:
        next(self._calls)
        self._take_a_moment()

    create_schedule = update_schedule = delete_schedule = get_schedule = delete_object = _succeed

    exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)  # never raised

    def install(self) -> None:
        """Take the place of the clients."""
        bucket = storage.Bucket("bucket", self)  # type: ignore[arg-type]
        storage.bucket = lambda store: bucket  # noqa: ARG005 (the name of the parameter is its own)
        clients.scheduler = lambda: self  # type: ignore[assignment]
        clients.event_bus = lambda: self  # type: ignore[assignment,return-value]
