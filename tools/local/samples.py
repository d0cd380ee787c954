"""The sample events in `events/<function>/<name>.json`, and what is expected of each: `expected.json` beside them.

An expectation names the state that the event needs and the outcome it then has, as data that programs act on.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from tools.local.workspace import replace_file

EVENTS = Path(__file__).resolve().parents[2] / "events"
TOKEN = "SAMPLE_TOKEN"  # noqa: S105 (the samples hold this in place of a token, for tokens expire)

_EXPECTED = "expected.json"


class Given(StrEnum):
    """A part of the state that an event needs. What is not named does not exist."""

    PROFILE = "profile"  # an After Hours profile without a photo
    PREFERENCES = "preferences"  # ages from 25 to 40
    LIVE_SESSION = "live_session"  # ends in 30 minutes
    ENDED_SESSION = "ended_session"  # of 30 minutes, a day ago
    OVERDUE_SESSION = "overdue_session"  # the one that events/expire_session names; its end passed a minute ago
    UPLOADED_PHOTO = "uploaded_photo"  # the upload that events/process_photo names: asked for, and in the bucket


class Expected(BaseModel):
    """The outcome of one sample event: the `status` of an answer, or else what a job `returns` or `raises`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    member: str = "entitled"  # whose rights the caller has: a key of `members.SEEDED`
    given: tuple[Given, ...]
    status: int | None = None
    code: str | None = None  # of the error body
    returns: dict[str, Any] | None = None  # members that the job's result has, among others
    raises: str | None = None  # the name of the exception that the job ends with

    def __str__(self) -> str:
        if self.status is not None:
            return f"{self.status} {self.code or ''}".rstrip()
        if self.raises is not None:
            return f"fails with {self.raises}"
        return f"returns {json.dumps(self.returns)}"

    @property
    def needs(self) -> str:
        return ", ".join(part.replace("_", " ") for part in self.given) or "nothing"


@dataclass(frozen=True)
class Sample:
    """One sample event, known as `<function>/<name>`."""

    function: str
    name: str
    expected: Expected

    def __str__(self) -> str:
        return f"{self.function}/{self.name}"

    def text(self, token: str) -> str:
        """Return the event as it is sent."""
        return (EVENTS / self.function / f"{self.name}.json").read_text().replace(TOKEN, token)

    def event(self, token: str) -> Any:  # noqa: ANN401 (JSON)
        return json.loads(self.text(token))


def write(folder: Path, token: str) -> None:
    """Write every sample event with this token in it, as a file that can be sent as it is."""
    for named in samples().values():
        for sample in named.values():
            file = folder / sample.function / f"{sample.name}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, sample.text(token))


@cache
def samples() -> dict[str, dict[str, Sample]]:
    """Return function → name → sample. Raises ValueError for an event without an expectation, or the reverse."""
    return {folder.name: _samples_in(folder) for folder in sorted(EVENTS.glob("*/"))}


def _samples_in(folder: Path) -> dict[str, Sample]:
    events = {path.stem for path in folder.glob("*.json")} - {Path(_EXPECTED).stem}
    path = folder / _EXPECTED
    expected = TypeAdapter(dict[str, Expected]).validate_json(path.read_bytes()) if path.exists() else {}
    if unpaired := events ^ expected.keys():
        names = ", ".join(sorted(unpaired))
        raise ValueError(f"{folder.name}: the events and {_EXPECTED} disagree on {names}")
    return {name: Sample(folder.name, name, outcome) for name, outcome in expected.items()}
