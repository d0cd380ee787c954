"""The page of the figures: tables, a plot, and the numbers as JSON beside it."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from benchmarks.scale.calls import ROUNDS, Cost

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"
PAGE = FOLDER / "scale.md"

_INTRODUCTION = """\
# Scale

What a bad night takes, and what members pay beside many ended sessions. `make bench PART=scale` measures it again (and
`python -m benchmarks.scale --publish` writes this page); the numbers are in [scale.json](scale.json).

## Nights

So many things are due at once, and the real `sweep` runs minute after minute until nothing is left, in a process of
512 MB, with the bus and the scheduler at 20 ms a call. Above 10,000 a call moves the clock on instead of sleeping. As
many sessions are live as things are due. The last sweep of a night is the one that finds nothing more to do. The
memory is without boto3's clients of the bus and the scheduler, in whose place others answer: they take 22 MB more.

{machine}

![Seconds of the longest sweep](scale.svg)

| night | due | sweeps | done by the first | longest, s | peak memory, MB | calls outside | events published | twice |
|---|---|---|---|---|---|---|---|---|
"""

_CALLS = """
## Calls

Medians in milliseconds: of each endpoint's handler with a sample request (its token, the access check and all
statements, without API Gateway, Lambda and AWS), of each duty of the sweep with three things to do, made anew each
time, and of the account's deletion by the main app. The fastest of the {rounds} rounds say more when the machine is
busy with other things. The last column names tables that grow and were read from one end to the other.

| | beside {few:,} | beside {many:,} | ratio | ratio of the fastest | sequential scans |
|---|---|---|---|---|---|
"""

_PLANS = """
## Plans

How each statement of these calls reads its tables beside {many:,} ended sessions. “Behind the plan” is what functions,
triggers and foreign keys do. Tables of what is undone are small, and PostgreSQL may read those whole.

| statement | table | read by |
|---|---|---|
"""


def sentence(night: dict[str, Any]) -> str:
    if "died" in night:
        return f"{night['night']}, {night['number']:,}: died ({night['died']})"
    longest = max(sweep["seconds"] for sweep in night["sweeps"])
    return (
        f"{night['night']}, {night['number']:,}: {_number_of_sweeps(night)} sweeps, the longest {longest:.1f} s,"
        f" {night['peakMb']} MB"
    )


def cost(name: str, measured: Cost) -> str:
    scans = f", SEQUENTIAL SCANS of {', '.join(measured.sequential_scans)}" if measured.sequential_scans else ""
    return f"{name} {measured.milliseconds} ms{scans}"


def _number_of_sweeps(night: dict[str, Any]) -> str:
    left = ", ".join(f"{number:,} {what}" for what, number in night["left"].items())
    return f"{len(night['sweeps'])}" + (f" (given up with {left} left)" if left else "")


def text(results: dict[str, Any]) -> str:
    lines = [_INTRODUCTION.format(machine=_machine(results)).rstrip("\n")]
    lines += [_row(night) for night in results["nights"]]
    few, many = sorted(results["calls"], key=int)
    lines.append(_CALLS.format(few=int(few), many=int(many), rounds=ROUNDS).rstrip("\n"))
    for name, cost in results["calls"][few].items():
        other = results["calls"][many][name]
        ratios = [
            f"{other[figure] / max(cost[figure], 0.01):.1f}" for figure in ("milliseconds", "fastest_milliseconds")
        ]
        scans = ", ".join(sorted({*cost["sequential_scans"], *other["sequential_scans"]})) or "none"
        lines.append(f"| {name} | {cost['milliseconds']} | {other['milliseconds']} | {' | '.join(ratios)} | {scans} |")
    lines.append(_PLANS.format(many=int(many)).rstrip("\n"))
    lines += _plans(results["calls"][many])
    return "\n".join(lines) + "\n"


def _machine(results: dict[str, Any]) -> str:
    """The benchmark itself keeps hardly more than one core busy; all beyond that is other work."""
    cores, most = results["cores"], max(results["loads"])
    busy = (
        "Other work kept the machine busy meanwhile, so times are longer than they need be" if most > cores else "Quiet"
    )
    return f"{busy}: {cores} cores, and a\nload average of {most:.1f} at most."


def _plans(costs: dict[str, Any]) -> list[str]:
    """Return a row for each table of each statement; many calls send the same, with the same plan."""
    rows = {
        f"| {statement} | {table} | {', '.join(ways)} |"
        for cost in costs.values()
        for statement, tables in cost["plans"].items()
        for table, ways in tables.items()
    }
    return sorted(rows)


def _row(night: dict[str, Any]) -> str:
    if "died" in night:
        return f"| {night['night']} | {night['number']:,} | died | | | | | | |"
    first = {what: n for what, n in night["sweeps"][0]["outcome"].items() if isinstance(n, int)}
    longest = max(sweep["seconds"] for sweep in night["sweeps"])
    done = ", ".join(f"{what} {number:,}" for what, number in first.items()) or "nothing"
    calls = sum(sweep["busCalls"] + sweep["schedulerCalls"] for sweep in night["sweeps"])
    return (
        f"| {night['night']} | {night['number']:,} | {_number_of_sweeps(night)} | {done} | {longest} |"
        f" {night['peakMb']} | {calls:,} | {night['published']:,} | {night['published'] - night['once']} |"
    )


def publish(results: dict[str, Any], page: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page)
    (FOLDER / "scale.json").write_text(json.dumps(results, indent=1) + "\n")
    mpl.rcParams["svg.hashsalt"] = "scale"
    figure, axes = plt.subplots(figsize=(7, 4))
    for name in dict.fromkeys(night["night"] for night in results["nights"]):
        points = [night for night in results["nights"] if night["night"] == name and "sweeps" in night]
        longest = [max(sweep["seconds"] for sweep in night["sweeps"]) for night in points]
        axes.plot([night["number"] for night in points], longest, marker="o", label=name)
    axes.axhline(29, color="grey", linestyle="--", label="the function's limit")
    axes.set(xscale="log", xlabel="due at once", ylabel="longest sweep, seconds")
    axes.legend(fontsize="small")
    figure.savefig(FOLDER / "scale.svg", metadata={"Date": None})
