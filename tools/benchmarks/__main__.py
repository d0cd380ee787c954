"""`make bench`: all measurements, each a ratio or a count taken in one run. Nothing here passes or fails.

python -m tools.benchmarks [PART …] [--quick]      measures, and prints the tables of docs/performance.md
"""

import importlib
import os
import platform

from tools.local.arguments import Arguments
from tools.local.progress import clock

# The table of `attacks` is in docs/decisions/fuzzed-location.md.
PARTS = ("cold_start", "warm", "photos", "scale", "attacks")


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small runs, for rough figures")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for part in options.parts or PARTS:
        print(
            f"{part}, on {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", flush=True
        )
        measured = importlib.import_module(f"tools.benchmarks.{part}").measure(clock(), quick=options.quick)
        print(f"\n{measured}\n\nLoad at the end: {os.getloadavg()[0]:.1f}\n", flush=True)


if __name__ == "__main__":
    main()
