"""`make soak`: no change is lost, whichever part dies.

python -m tools.soak [--minutes 2] [--seed 4711] [--fault "PostgreSQL frozen" …]
"""

import secrets
import sys
from collections import Counter
from math import ceil
from random import Random

from tools.local import aws
from tools.local.arguments import Arguments, number
from tools.local.processes import end_on_any_interruption
from tools.local.progress import clock
from tools.local.workspace import DEFAULT_WORKSPACE, Workspace, shows_errors
from tools.soak.faults import FAULTS
from tools.soak.rounds import Results, Round
from tools.soak.system import soaking_system

WORKSPACE = Workspace(DEFAULT_WORKSPACE.root / "soak")
_ROUND_MINUTES = 5.0
_CLOCKS_OFF_SECONDS = (0, 290, -290)  # AWS refuses what is signed by a clock that is more than 300 seconds off


@shows_errors
def main() -> int:
    parser = Arguments(__doc__)
    parser.add_argument("--minutes", type=number(float, 0.1, 10_000), default=2)
    parser.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), help="the same members and faults again; random if not given"
    )
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only these; may be given several times")
    options = parser.parse_args()
    seed = secrets.randbits(24) if options.seed is None else options.seed
    faults = options.fault or list(FAULTS)
    end_on_any_interruption()
    aws.keep_to_this_machine()
    progress = clock()
    results: list[Results] = []
    try:
        for done in range(ceil(options.minutes / _ROUND_MINUTES)):
            minutes = min(_ROUND_MINUTES, options.minutes - done * _ROUND_MINUTES)
            name = f"{seed} round {done + 1}"
            clock_off = Random(f"{name} clock").choice(_CLOCKS_OFF_SECONDS)  # noqa: S311 (no secret)
            progress(f"seed {name}; the functions' clocks are {clock_off:+} s off")
            with soaking_system(WORKSPACE, progress, clock_off_seconds=clock_off) as system:
                results.append(Round(system, name, faults, progress).run(minutes))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    print(f"Seed {seed}, {len(results)} rounds")
    for title in ("answers", "changes", "faults"):
        total = sum((getattr(each, title) for each in results), Counter[str]())
        print(f"{title.capitalize()}:", *(f"  {times:7,}  {name}" for name, times in sorted(total.items())), sep="\n")
    violations = [violation for each in results for violation in each.violations]
    print(f"{len(violations)} violations", *violations, sep="\n")
    return 1 if violations or not results else 0


if __name__ == "__main__":
    sys.exit(main())
