"""`make soak`: nothing is lost, whatever dies.

python -m tools.soak [--minutes 2] [--seed 4711] [--fault "PostgreSQL frozen" …] [--results FILE]
"""

import sys
from argparse import Namespace
from pathlib import Path
from random import Random

from tools.local import aws
from tools.local.arguments import Arguments, number
from tools.local.processes import end_on_any_interruption
from tools.local.progress import Progress, clock
from tools.local.workspace import DEFAULT_WORKSPACE, Workspace, shows_errors
from tools.soak.faults import FAULTS
from tools.soak.results import Results, Round
from tools.soak.rounds import Soak
from tools.soak.system import soaking_system

WORKSPACE = Workspace(DEFAULT_WORKSPACE.root / "soak")
_ROUND_MINUTES = 5.0
_CLOCKS_OFF_SECONDS = (0, 290, -290)  # AWS refuses what is signed by a clock that is more than 300 seconds off


@shows_errors
def main() -> int:
    options = _options()
    end_on_any_interruption()
    aws.keep_to_this_machine()
    progress = clock()
    results = Results.load(options.results, options.seed, options.minutes)
    if results.rounds:
        progress(f"going on with seed {results.seed}, of which {results.left:g} minutes are left")
    try:
        while results.left > 0:
            _soak(results, options, progress)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 1
    print(results.text())
    return 1 if results.violations else 0


def _soak(results: Results, options: Namespace, progress: Progress) -> None:
    number = len(results.rounds) + 1
    seed = f"{results.seed} round {number}"
    clock_off = Random(f"{seed} clock").choice(_CLOCKS_OFF_SECONDS)  # noqa: S311 (no secret)
    result = Round(number=number, minutes=min(_ROUND_MINUTES, results.left), clock_off_seconds=clock_off)
    progress(f"round {number} of seed {results.seed}; the functions' clocks are {clock_off:+} s off")
    with soaking_system(WORKSPACE, progress, clock_off_seconds=clock_off) as system:
        Soak(system, seed, options.fault or list(FAULTS), progress, rest_seconds=options.rest_seconds).run(result)
        results.rounds.append(result)
        results.save(options.results)  # before the stack is cleared away, which takes a while


def _options() -> Namespace:
    parser = Arguments(__doc__)
    parser.add_argument("--minutes", type=number(float, 0.1, 10_000), default=2)
    parser.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), help="the same members and faults again; random if not given"
    )
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only these; may be given several times")
    parser.add_argument(
        "--rest-seconds", type=number(float, 0, 10_000), default=240, help="how long it may take until all is done"
    )
    parser.add_argument("--results", type=Path, default=WORKSPACE.root / "results.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
