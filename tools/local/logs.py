"""What the functions write, read from CloudWatch Logs."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.local.background import beside
from tools.local.stack import Stack
from tools.local.workspace import CommandError, Workspace

_EVERY_SECONDS = 0.5
_BEFORE_MS = 60_000  # `make logs` begins with the last minute
_LATE_MS = 5000  # how long after its own timestamp a line may appear in CloudWatch Logs
# Keys that every line has and that are not printed.
_LEFT_OUT = {
    "cold_start", "correlation_id", "function_arn", "function_memory_size", "function_name", "function_request_id",
    "level", "location", "message", "service", "timestamp",
}  # fmt: skip
_FAILED = "[ERROR] "  # what Lambda begins its line with when a function fails, times out or cannot be imported
# What AWS itself writes, and metrics.
PLATFORM = ("START ", "END ", "REPORT ", '{"_aws":')


@dataclass(frozen=True, order=True)
class Line:
    """One line that a function wrote: a structured entry of ours, or plain text (a traceback, say)."""

    at: datetime
    function: str
    text: str

    @property
    def entry(self) -> dict[str, Any]:
        return json.loads(self.text) if self.text.startswith("{") else {}

    def __str__(self) -> str:
        said = self.text
        if entry := self.entry:
            words = [f"{name}={value}" for name, value in entry.items() if name not in _LEFT_OUT]
            said = " ".join([entry["level"], entry["message"], *words])
        return f"{self.at.astimezone():%H:%M:%S} {self.function}: {said}"

    @property
    def is_request_or_trouble(self) -> bool:
        said = self.entry
        is_trouble = said.get("level") in {"WARNING", "ERROR"} or self.text.startswith(_FAILED)
        return said.get("message") == "request" or is_trouble


def _follow(stack: Stack, functions: Iterable[str], *, since_ms: int, ending: Event) -> Iterator[Line]:
    """Yield what functions write, without AWS's own lines, until the event is set or the system ends."""
    pages = boto3.client("logs", **stack.aws).get_paginator("filter_log_events")
    read: set[Line] = set()  # in the last `_LATE_MS`, which are read again
    with suppress(BotoCoreError, ClientError):
        while not ending.wait(_EVERY_SECONDS):
            now_ms = _now_ms()
            lines = {
                Line(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), name, event["message"].rstrip())
                for name in functions
                for page in pages.paginate(logGroupName=f"/aws/lambda/{stack.functions[name]}", startTime=since_ms)
                for event in page["events"]
                if not event["message"].startswith(PLATFORM)
            }
            yield from sorted(lines - read)
            read, since_ms = lines, now_ms - _LATE_MS


def _now_ms() -> int:
    return int(time.time() * 1000)


@contextmanager
def requests_shown(stack: Stack) -> Iterator[None]:
    """Print a line for each request, and for what goes wrong, until the block ends."""
    began_ms = _now_ms()

    def run(ending: Event) -> None:
        for line in _follow(stack, stack.functions, since_ms=began_ms, ending=ending):
            if line.is_request_or_trouble:
                print(line, flush=True)

    with beside(run):
        yield


def logs(workspace: Workspace, function: str | None) -> None:
    """`make logs [FUNCTION=start_session]`: follow what the functions write, a line each, until Ctrl-C."""
    stack = Stack.load(workspace)
    if function not in {None, *stack.functions}:
        raise CommandError(f"There is no function {function}. There are: {', '.join(stack.functions)}")
    functions = [function] if function else stack.functions
    for line in _follow(stack, functions, since_ms=_now_ms() - _BEFORE_MS, ending=Event()):
        print(line, flush=True)
