"""Measure our pipeline in a process of its own, as sharp.mjs measures sharp. Arguments: FILE ROUNDS OUTPUT-PREFIX."""

import json
import sys
from itertools import pairwise
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from after_hours.images.pipeline import process

MB = 1024**2 if sys.platform == "darwin" else 1024  # in units of ru_maxrss


def used() -> tuple[float, float]:
    """Return the CPU milliseconds and the peak memory in MB of this process until now."""
    usage = getrusage(RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / MB


def main() -> None:
    file, rounds, output = sys.argv[1:]
    data = Path(file).read_bytes()
    uses = [used()]
    for _ in range(int(rounds)):
        result = process(data)
        uses.append(used())
    Path(f"{output}.jpg").write_bytes(result.photo)
    times, (baseline, first, *_, last) = zip(*uses, strict=True)
    cpu = [after - before for before, after in pairwise(times)]
    print(json.dumps({"cpu": cpu, "baseline": baseline, "firstPeak": first, "peak": last}))


if __name__ == "__main__":
    main()
