"""Domain events as they arrive, by a rule and a queue of the page's own on the local AWS."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.local import bus
from tools.local.stack import Stack

_KEPT = 500
_WAIT_SECONDS = 10  # of one long poll of the queue; an event ends it
_PAUSE_SECONDS = 2  # after a poll that failed
_LOOK_SECONDS = 0.1  # between two looks of a browser's stream


@dataclass(frozen=True)
class Numbered:
    """An event of the bus, numbered in the order of arrival, so that a browser can name the last one that it got."""

    number: int
    event: dict[str, Any]


class Listener:
    """Hears the events of the bus and keeps the latest; any number of browsers read along."""

    def __init__(self, stack: Stack) -> None:
        self._bus = stack.event_bus
        self._client = partial(boto3.client, **stack.aws)
        self._heard: deque[Numbered] = deque(maxlen=_KEPT)
        self._since = datetime.min.replace(tzinfo=UTC)  # what happened before is forgotten
        self._stopped = Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs; the rule and the queue are gone afterwards."""
        name = f"page-{uuid4()}"
        queue = bus.subscribe(self._client, self._bus, name)
        # A daemon, because its last poll of the queue may take seconds.
        Thread(target=self._listen, args=(name, queue), daemon=True).start()
        try:
            yield
        finally:
            self._stopped.set()
            with suppress(BotoCoreError, ClientError):  # the system may have ended first, and all of it is gone
                bus.unsubscribe(self._client, self._bus, name, queue)

    @property
    def last(self) -> int:
        """The number of the event that was heard last; 0 when there is none."""
        return self._heard[-1].number if self._heard else 0

    def forget(self) -> None:
        """Forget the events, and end all streams, so that each browser connects again and starts from nothing."""
        self._since = datetime.now(UTC)
        self._heard = deque(maxlen=_KEPT)

    async def after(self, number: int) -> AsyncIterator[Numbered]:
        """Yield the events after this number, past and future, until all is forgotten."""
        read = self._heard
        while read is self._heard:
            for heard in tuple(read):
                if heard.number > number:
                    number = heard.number
                    yield heard
            await asyncio.sleep(_LOOK_SECONDS)

    def _listen(self, name: str, queue: str) -> None:
        queues = self._client("sqs")
        while not self._stopped.is_set():
            try:
                answer = queues.receive_message(QueueUrl=queue, WaitTimeSeconds=_WAIT_SECONDS, MaxNumberOfMessages=10)
                for message in answer.get("Messages", []):
                    self._hear(json.loads(message["Body"]))
                    queues.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            except (BotoCoreError, ClientError):
                self._stopped.wait(_PAUSE_SECONDS)
                with suppress(BotoCoreError, ClientError):  # a local AWS that was started anew has no queue of ours
                    bus.subscribe(self._client, self._bus, name)

    def _hear(self, event: dict[str, Any]) -> None:
        if datetime.fromisoformat(event["detail"]["occurredAt"]) >= self._since:
            self._heard.append(Numbered(self.last + 1, event))
