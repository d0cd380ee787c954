"""What the functions write, read from CloudWatch Logs."""

import json
import time
from collections.abc import Iterator
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
            details = {name: value for name, value in entry.items() if name not in _LEFT_OUT}
            words = [
                f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in details.items()
            ]
            said = " ".join([entry["level"], entry["message"], *words])
        return f"{self.at.astimezone():%H:%M:%S} {self.function}: {said}"

    @property
    def short(self) -> str | None:
        """What `make run` shows of it: a request's status, route, duration and caller, or what went wrong."""
        entry = self.entry
        if entry.get("message") == "request":
            caller = entry.get("user_id", "no member")
            request = f"{entry['status']} {entry['route']} {entry['milliseconds']} ms, {caller}"
            return f"{self.at.astimezone():%H:%M:%S} {request}"
        is_trouble = entry.get("level") in {"WARNING", "ERROR"} or self.text.startswith(_FAILED)
        return str(self) if is_trouble else None


class Reader:
    """Reads the logs of some functions from CloudWatch Logs, each line once."""

    def __init__(self, stack: Stack, functions: list[str], *, since_ms: int) -> None:
        self._logs = boto3.client("logs", **stack.aws)
        self._groups = {name: f"/aws/lambda/{stack.functions[name]}" for name in functions}
        self._since_ms = since_ms
        self._read: set[Line] = set()  # in the last `_LATE_MS`, which are read again

    def read(self) -> list[Line]:
        """Return what was written since the last time, the oldest first. What AWS itself writes is left out."""
        now_ms = _now_ms()
        lines = {line for function in self._groups for line in self._recent(function)}
        new = sorted(lines - self._read)
        self._read, self._since_ms = lines, now_ms - _LATE_MS
        return new

    def _recent(self, function: str) -> Iterator[Line]:
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._groups[function], startTime=self._since_ms
        )
        for event in (event for page in pages for event in page["events"]):
            if not event["message"].startswith(PLATFORM):
                yield Line(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), function, event["message"].rstrip())


def _now_ms() -> int:
    return int(time.time() * 1000)


@contextmanager
def requests_shown(stack: Stack) -> Iterator[None]:
    """Print a line for each request, and for what goes wrong, until the block ends."""
    reader = Reader(stack, list(stack.functions), since_ms=_now_ms())

    def run(ending: Event) -> None:
        while not ending.wait(_EVERY_SECONDS):
            with suppress(BotoCoreError, ClientError):  # `Processes.watch` says what is wrong
                for text in filter(None, [line.short for line in reader.read()]):
                    print(text, flush=True)

    with beside(run):
        yield


def logs(workspace: Workspace, function: str | None) -> None:
    """`make logs [FUNCTION=start_session]`: follow what the functions write, a line each, until Ctrl-C."""
    stack = Stack.load(workspace)
    if function not in {None, *stack.functions}:
        raise CommandError(f"There is no function {function!r}. Say FUNCTION= one of: {', '.join(stack.functions)}")
    functions = [function] if function else list(stack.functions)
    reader = Reader(stack, functions, since_ms=_now_ms() - _BEFORE_MS)
    with suppress(KeyboardInterrupt):
        while True:
            for line in reader.read():
                print(line, flush=True)
            time.sleep(_EVERY_SECONDS)
