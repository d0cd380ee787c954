"""Examples of every answer, taken from real ones: what differs from run to run is put in the place of one value."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.contract.document import EXAMPLES

type Json = Any

BEGINNING = datetime(2026, 1, 9, 21, tzinfo=UTC)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
# What differs from run to run → what stands in its place
STABLE = {
    "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "0b9f6c1e-7c5d-4d6f-9a51-6f2f4c1e8a90",
    '"http://[^/]+': '"https://storage.example.com',
    '([?&])X-Amz-[^"]*': r"\1X-Amz-Signature=…",
    '"(policy|x-amz-(?:signature|date|credential|security-token))": "[^"]*"': r'"\1": "…"',
}


@dataclass
class Examples:
    """By function and name those of successes, by code those of errors; the first of each is taken."""

    successes: dict[str, dict[str, Json]] = field(default_factory=dict)
    errors: dict[str, Json] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "Examples":
        return cls(**json.loads(EXAMPLES.read_text()))

    def save(self) -> None:
        by_name = {kind: dict(sorted(examples.items())) for kind, examples in vars(self).items()}
        EXAMPLES.write_text(json.dumps(by_name, indent=2, ensure_ascii=False) + "\n")

    def add(self, function: str, body: Json) -> None:
        """Take the body of an answer of a function, if there is none yet."""
        if body["success"]:
            self.successes.setdefault(function, {}).setdefault(_name(body), stable(body))
        else:
            self.errors.setdefault(body["code"], stable(body))


def _name(body: Json) -> str:
    match body:
        case {"active": active}:
            return "live" if active else "notLive"
        case {"photo": {"status": status}}:
            return str(status)
    return "success"


def stable(body: Json) -> Json:
    """Return a body as it would be had no time passed, with the same ids, addresses and signatures each time."""
    text = json.dumps(body, ensure_ascii=False)
    first = min((datetime.fromisoformat(time) for time in TIME.findall(text)), default=BEGINNING)

    def moved(time: re.Match[str]) -> str:
        minutes = round((datetime.fromisoformat(time[0]) - first) / timedelta(minutes=1))
        return f"{BEGINNING + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"

    text = TIME.sub(moved, text)
    text = re.sub('"remainingSeconds": ([0-9]+)', lambda s: f'"remainingSeconds": {-(-int(s[1]) // 60) * 60}', text)
    for pattern, replacement in STABLE.items():
        text = re.sub(pattern, replacement, text)
    return json.loads(text)
