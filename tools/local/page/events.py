"""Domain events, by a rule and a queue of the page's own on the local AWS."""

import json
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, Self
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.local import bus
from tools.local.stack import Stack


class Listener:
    """Hears the events of the bus, from the beginning of its block on. The rule and the queue are gone afterwards."""

    def __init__(self, stack: Stack) -> None:
        self._client = partial(boto3.client, **stack.aws)
        self._bus = stack.event_bus
        self._name = f"page-{uuid4()}"
        self._sqs = boto3.client("sqs", **stack.aws)
        self._turn = Lock()
        self._heard: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._queue = bus.subscribe(self._client, self._bus, self._name)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BotoCoreError, ClientError):  # the system may have ended first, and all of it is gone
            bus.unsubscribe(self._client, self._bus, self._name, self._queue)

    def events(self, after: int) -> list[dict[str, Any]]:
        """Return the events in the order of their arrival, but for the first ones, which the caller has."""
        with self._turn:
            try:
                while received := self._received():
                    self._heard += received
            except self._sqs.exceptions.QueueDoesNotExist:  # the local AWS was started anew
                self._queue = bus.subscribe(self._client, self._bus, self._name)
            return self._heard[after:]

    def forget(self) -> None:
        """Forget what has happened so far."""
        self.events(0)
        self._heard.clear()

    def _received(self) -> list[dict[str, Any]]:
        messages = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]
