"""The section of the figures: tables and a plot."""

from typing import Any

from matplotlib.figure import Figure

from tools.benchmarks.scale.calls import ROUNDS, Cost

_INTRODUCTION = """\
## Scale

What a bad night takes, and what members pay beside many ended sessions.

### Nights

So many things are due at once, and the real `sweep` runs minute after minute until nothing is left, in a process of
512 MB, with the bus and the scheduler at 20 ms a call. Above 10,000 a call moves the clock on instead of sleeping. As
many sessions are live as things are due. The last sweep of a night is the one that finds nothing more to do.

![Seconds of the longest sweep](performance/scale.svg)

| night | due | sweeps | done by the first | longest, s | peak memory, MB | calls outside | events published | twice |
|---|---|---|---|---|---|---|---|---|
"""

_CALLS = """
### Calls

Medians in milliseconds: of each endpoint's handler with a sample request (its token, the access check and all
statements, without API Gateway, Lambda and AWS), of each duty of the sweep with three things to do, made anew each
time, and of the account's deletion by the main app. The fastest of the {rounds} rounds say more when the machine is
busy with other things. The last column names tables that grow and were read from one end to the other.

| | beside {few:,} | beside {many:,} | ratio | ratio of the fastest | sequential scans |
|---|---|---|---|---|---|
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


def section(results: dict[str, Any]) -> str:
    lines = [_INTRODUCTION.rstrip("\n")]
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
    return "\n".join(lines) + "\n"


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


def plots(results: dict[str, Any]) -> dict[str, Figure]:
    """Return the plots by their names."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for name in dict.fromkeys(night["night"] for night in results["nights"]):
        points = [night for night in results["nights"] if night["night"] == name and "sweeps" in night]
        longest = [max(sweep["seconds"] for sweep in night["sweeps"]) for night in points]
        axes.plot([night["number"] for night in points], longest, marker="o", label=name)
    axes.axhline(29, color="grey", linestyle="--", label="the function's limit")
    axes.set(xscale="log", xlabel="due at once", ylabel="longest sweep, seconds")
    axes.legend(fontsize="small")
    return {"scale": figure}
