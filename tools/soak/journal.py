"""What members asked for, and what the API answered, to be compared with what the database says has changed."""

from dataclasses import dataclass, field
from enum import StrEnum
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


@dataclass
class Journal:
    """What callers saw: a list for each kind, since many threads append. `violations` are what no answer may be."""

    asked: list[Asked] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def write(self, what: str, member: str, key: str | None, outcome: Outcome) -> None:
        self.asked.append(Asked(what, member, key, outcome))

    def report(self, violation: str) -> None:
        self.violations.append(violation)
