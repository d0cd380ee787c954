"""`make bench`: all measurements, each a ratio or a count taken in one run. Nothing here passes or fails.

python -m tools.benchmarks [PART …] [--quick] [--publish]      measures, and prints each part
"""

import importlib
import json
import sys
from argparse import Namespace

from tools.benchmarks import page
from tools.benchmarks.measuring import Progress
from tools.benchmarks.page import PARTS, PRINTED_ONLY
from tools.local.arguments import Arguments


def main() -> None:
    options = _options()
    chosen = options.parts or [*PARTS, *PRINTED_ONLY]
    for number, part in enumerate(chosen, 1):
        print(f"Part {number} of {len(chosen)}: {part}", flush=True)
        module = importlib.import_module(f"tools.benchmarks.{part}")
        if part in PRINTED_ONLY:
            sys.argv = sys.argv[:1]
            module.main()
            continue
        progress = Progress(options.quick)
        results = module.measure(progress) | {"machine": progress.machine()}
        page.save(part, json.dumps(results, indent=1) + "\n", publish=options.publish)
        print(f"\n{module.section(results)}", flush=True)
    if options.publish:
        page.write()


def _options() -> Namespace:
    parser = Arguments(__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join((*PARTS, *PRINTED_ONLY)))
    parser.add_argument("--quick", action="store_true", help="small runs, for rough figures")
    parser.add_argument("--publish", action="store_true", help="write docs/performance.md and what lies beside it")
    options = parser.parse_args()
    if unknown := set(options.parts) - {*PARTS, *PRINTED_ONLY}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join((*PARTS, *PRINTED_ONLY))}")
    return options


if __name__ == "__main__":
    main()
