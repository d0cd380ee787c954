"""`make bench-compare BASE=<revision>`: what changed between a revision's published figures and the last run's."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from benchmarks.measuring import Json
from benchmarks.page import LAST, PARTS, PUBLISHED, read
from local.workspace import REPOSITORY

_NOTICED = 0.02  # of a figure; smaller changes are not printed


def main(revision: str) -> str | None:
    """Print the figures that differ. Returns an error message, if there is nothing to compare."""
    now = read(PUBLISHED) | read(LAST)  # the last run's figures and, for parts that it did not measure, published ones
    found = False
    for part in PARTS:
        if part not in now or (before := _published(revision, part)) is None:
            continue
        found = True
        print(f"{part}: {before['machine']['date']} → {now[part]['machine']['date']}")
        for line in changes(before, now[part]):
            print(f"  {line}")
    return None if found else f"{revision} has no figures in docs/performance/ that were measured here, too."


def changes(before: Json, now: Json) -> Iterator[str]:
    """Yield a line for each number that differs noticeably, or is in one of them only."""
    old, new = dict(_numbers(before)), dict(_numbers(now))
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield f"{name}: {old[name]:g} → gone"
        elif name not in old:
            yield f"{name}: new → {new[name]:g}"
        elif abs(new[name] - old[name]) > _NOTICED * max(abs(old[name]), abs(new[name])):
            ratio = f" ({new[name] / old[name] - 1:+.0%})" if old[name] else ""
            yield f"{name}: {old[name]:g} → {new[name]:g}{ratio}"


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:  # noqa: ANN401 (JSON)
    """Yield each number in a JSON value with its path. Items of lists (rounds or nights) go by their position."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in {"machine", "plans"}:
                yield from _numbers(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for position, inner in enumerate(value, 1):
            yield from _numbers(inner, f"{name}.{position}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _published(revision: str, part: str) -> Json | None:
    file = f"{revision}:{PUBLISHED.relative_to(REPOSITORY)}/{part}.json"
    shown = subprocess.run(["git", "show", file], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    figures: Json | None = json.loads(shown.stdout) if shown.returncode == 0 else None
    return figures
