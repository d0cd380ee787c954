"""Domain events, by a rule and a queue of the page's own on the local AWS."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.local import bus
from tools.local.stack import Stack


class Listener:
    """The events that a queue has received, in the order of their arrival."""

    def __init__(self, sqs: Any, queue: str) -> None:  # noqa: ANN401 (boto3's)
        self._sqs = sqs
        self._queue = queue
        self._lock = Lock()
        self._received: list[dict[str, Any]] = []

    def events_of(self, user_id: str) -> list[dict[str, Any]]:
        with self._lock:
            while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
                for message in messages:
                    self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                    self._received.append(json.loads(message["Body"]))
            return [event for event in self._received if event["detail"]["userId"] == user_id]

    def forget(self) -> None:
        """Forget the events so far."""
        self._received.clear()


@contextmanager
def listening(stack: Stack) -> Iterator[Listener]:
    """Receive all domain events until the block ends. Then the rule and the queue are deleted."""
    client, name = partial(boto3.client, **stack.aws), f"page-{uuid4()}"
    queue = bus.subscribe(client, stack.event_bus, name)
    try:
        yield Listener(client("sqs"), queue)
    finally:
        with suppress(BotoCoreError, ClientError):  # the local AWS may have ended first, with rule and queue
            bus.unsubscribe(client, stack.event_bus, name, queue)
