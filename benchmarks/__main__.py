"""`make bench`: all measurements, each a ratio or a count taken in one run. Nothing here passes or fails."""

import runpy

BENCHMARKS = ("benchmarks.cold_start", "benchmarks.photos")


def main() -> None:
    for benchmark in BENCHMARKS:
        runpy.run_module(benchmark, run_name="__main__")
        print(flush=True)


if __name__ == "__main__":
    main()
