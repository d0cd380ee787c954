"""The requests of members and the answers of the API, to be compared with the changes in the database."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    DONE = "done"  # 2xx
    REFUSED = "refused"  # 4xx
    UNKNOWN = "unknown"  # 5xx, or no answer


class Asked(NamedTuple):
    """A request for a change. `key` is the id or the text of the change, where the caller can know it."""

    what: str
    member: str
    key: str | None
    outcome: Outcome


@dataclass
class Journal:
    """The records of all callers, in lists, because threads may append to one without a lock."""

    asked: list[Asked] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def write(self, what: str, member: str, key: str | None, outcome: Outcome) -> None:
        self.asked.append(Asked(what, member, key, outcome))

    def report(self, violation: str) -> None:
        self.violations.append(violation)
