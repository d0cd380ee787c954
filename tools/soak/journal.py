"""What members asked for, and what the API answered, to be compared with what the database says has changed."""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from threading import Lock
from typing import NamedTuple


class Outcome(StrEnum):
    DONE = "done"  # 2xx
    REFUSED = "refused"  # 4xx
    UNKNOWN = "unknown"  # 5xx, or no answer


class Asked(NamedTuple):
    """One change that was asked for. `key` is its id or its text, where the caller can know one."""

    what: str
    member: str
    key: str | None
    outcome: Outcome


class Journal:
    """A thread-safe journal. `violations` are those that a caller saw in an answer."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked: list[Asked] = []
        self.answers: Counter[str] = Counter()
        self.violations: list[str] = []

    def write(self, what: str, member: str, key: str | None, outcome: Outcome) -> None:
        with self._lock:
            self._asked.append(Asked(what, member, key, outcome))

    def count(self, answer: str) -> None:
        with self._lock:
            self.answers[answer] += 1

    def report(self, violation: str) -> None:
        with self._lock:
            self.violations.append(violation)

    def asked(self, *what: str) -> Iterator[Asked]:
        with self._lock:
            entries = list(self._asked)
        return (entry for entry in entries if entry.what in what)
