"""`make bench`: all measurements, each a ratio or a count taken in one run. Nothing here passes or fails."""

import runpy
import sys

BENCHMARKS = ("cold_start", "fuzz", "photos", "scale", "attacks")


def main(parts: list[str]) -> None:
    if unknown := set(parts) - set(BENCHMARKS):
        sys.exit(f"There is no part {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}.")
    sys.argv = sys.argv[:1]
    chosen = parts or BENCHMARKS
    for number, part in enumerate(chosen, 1):
        print(f"Part {number} of {len(chosen)}: {part}", flush=True)
        runpy.run_module(f"benchmarks.{part}", run_name="__main__")
        print(flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
