"""docs/performance.md: a section for each part, made of the figures beside it in docs/performance/."""

import importlib
import json

import matplotlib as mpl

from tools.benchmarks.measuring import Json
from tools.local.workspace import REPOSITORY

PARTS = ("cold_start", "warm", "photos", "scale")
PRINTED_ONLY = ("attacks", "banned")  # their tables are in docs/decisions/: fuzzed-location.md, banned-photos.md

PAGE = REPOSITORY / "docs" / "performance.md"
PUBLISHED = PAGE.with_suffix("")
LAST = REPOSITORY / ".bench" / "figures"

_INTRODUCTION = """\
# Performance

What the design promises, measured. `make bench` measures it again, `make bench PART=warm` one part alone, and with
`QUICK=1` roughly; `make bench PUBLISH=1` writes this page and the figures beside it (docs/performance/). Compare ratios
and counts: times are those of one machine, and of whatever else it had to do.

| part | measured | on | load, at most |
|---|---|---|---|
"""


def save(part: str, figures: str, *, publish: bool) -> None:
    """Keep a part's figures as those of the last run and, if they are to be published, in docs/performance/."""
    for folder in (LAST, *([PUBLISHED] if publish else [])):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{part}.json").write_text(figures)


def write() -> None:
    """Write the page and its plots anew from the published figures."""
    figures: dict[str, Json] = {
        part: json.loads(file.read_text()) for part in PARTS if (file := PUBLISHED / f"{part}.json").exists()
    }
    sections = [importlib.import_module(f"tools.benchmarks.{part}").section(each) for part, each in figures.items()]
    rows = "\n".join(_row(part, each["machine"]) for part, each in figures.items())
    PAGE.write_text("\n".join((_INTRODUCTION + rows + "\n", *sections)))
    for part, each in figures.items():
        _plot(part, each)


def _row(part: str, machine: Json) -> str:
    run = "a quick run, " if machine["quick"] else ""
    where = f"{machine['cores']} cores, {machine['processor']}, Python {machine['python']}"
    load = machine["most_load"] or "not noted"
    return f"| [{part}](performance/{part}.json) | {run}{machine['date']} | {where} | {load} |"


def _plot(part: str, figures: Json) -> None:
    module = importlib.import_module(f"tools.benchmarks.{part}")
    for name, figure in getattr(module, "plots", lambda _: {})(figures).items():
        mpl.rcParams["svg.hashsalt"] = name  # the same figures make the same file
        figure.savefig(PUBLISHED / f"{name}.svg", metadata={"Date": None})
