"""Domain events as they arrive, by a rule and a queue of the page's own on the local AWS."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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


@dataclass(frozen=True)
class Numbered:
    """An event of the bus, numbered in the order of arrival, so that a browser can say what it has seen."""

    number: int
    event: dict[str, Any]


class Listener:
    """Hears what the bus says and keeps the latest; any number of browsers read along."""

    def __init__(self, stack: Stack) -> None:
        self._bus = stack.event_bus
        self._client = partial(boto3.client, **stack.aws)
        self._queues = self._client("sqs")
        self._heard: deque[Numbered] = deque(maxlen=_KEPT)
        self._since = datetime.min.replace(tzinfo=UTC)  # what happened before is forgotten
        self._changed = asyncio.Condition()
        self._stopped = Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs; the rule and the queue are gone afterwards."""
        name = f"page-{uuid4()}"
        queue = await asyncio.to_thread(bus.subscribe, self._client, self._bus, name)
        # A daemon: nobody waits for its last poll of the queue.
        Thread(target=self._listen, args=(name, queue, asyncio.get_running_loop()), daemon=True).start()
        try:
            yield
        finally:
            self._stopped.set()
            with suppress(BotoCoreError, ClientError):  # the system may have ended first, and all of it is gone
                await asyncio.to_thread(bus.unsubscribe, self._client, self._bus, name, queue)

    @property
    def last(self) -> int:
        """The number of the event that was heard last; 0 when there is none."""
        return self._heard[-1].number if self._heard else 0

    async def forget(self) -> None:
        """Forget the events, and end all streams, so that each browser connects again and starts from nothing."""
        async with self._changed:
            self._heard = deque(maxlen=_KEPT)
            self._since = datetime.now(UTC)
            self._changed.notify_all()

    async def after(self, number: int) -> AsyncIterator[Numbered]:
        """Yield what was heard after this number, and what will be, until all is forgotten."""
        read = self._heard
        while read is self._heard:
            for heard in tuple(read):
                if heard.number > number:
                    number = heard.number
                    yield heard
            async with self._changed:
                if read is self._heard and self.last <= number:
                    await self._changed.wait()

    def _listen(self, name: str, queue: str, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopped.is_set():
            try:
                answer = self._queues.receive_message(
                    QueueUrl=queue, WaitTimeSeconds=_WAIT_SECONDS, MaxNumberOfMessages=10
                )
                for message in answer.get("Messages", []):
                    asyncio.run_coroutine_threadsafe(self._hear(json.loads(message["Body"])), loop)
                    self._queues.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            except (BotoCoreError, ClientError):
                self._stopped.wait(_PAUSE_SECONDS)
                with suppress(BotoCoreError, ClientError):  # a local AWS that was started anew has no queue of ours
                    bus.subscribe(self._client, self._bus, name)
            except RuntimeError:  # the loop is closed: the page has ended
                return

    async def _hear(self, event: dict[str, Any]) -> None:
        if datetime.fromisoformat(event["detail"]["occurredAt"]) < self._since:
            return
        async with self._changed:
            self._heard.append(Numbered(self.last + 1, event))
            self._changed.notify_all()
