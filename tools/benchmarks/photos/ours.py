"""Measure our pipeline in a process of its own, as sharp.mjs measures sharp. Arguments: FILE ROUNDS OUTPUT-PREFIX."""

import json
import sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from after_hours.images.pipeline import process


def peak() -> float:
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return getrusage(RUSAGE_SELF).ru_maxrss / unit


def cpu() -> float:
    usage = getrusage(RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    file, rounds, output = sys.argv[1:]
    data = Path(file).read_bytes()
    baseline = peak()
    times, peaks = [], []
    for _ in range(int(rounds)):
        before = cpu()
        result = process(data)
        times.append(cpu() - before)
        peaks.append(peak())
    Path(f"{output}.jpg").write_bytes(result.photo)
    print(json.dumps({"cpu": times, "baseline": baseline, "firstPeak": peaks[0], "peak": peaks[-1]}))


if __name__ == "__main__":
    main()
