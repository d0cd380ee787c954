"""`make soak`: no change is lost, whichever part dies.

python -m tools.soak [--minutes 2] [--seed 4711] [--fault "PostgreSQL frozen" …]
"""

import secrets
import sys
from random import Random

from tools.local import aws
from tools.local.arguments import Arguments, number
from tools.local.processes import end_on_any_interruption
from tools.local.progress import clock
from tools.local.workspace import DEFAULT_WORKSPACE, Workspace, shows_errors
from tools.soak.faults import FAULTS
from tools.soak.run import Soak
from tools.soak.system import soaking_system

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
    end_on_any_interruption()
    aws.keep_to_this_machine()
    progress = clock()
    clock_off = Random(f"{seed} clock").choice(_CLOCKS_OFF_SECONDS)  # noqa: S311 (no secret)
    progress(f"seed {seed}; the functions' clocks are {clock_off:+} s off")
    with soaking_system(Workspace(DEFAULT_WORKSPACE.root / "soak"), progress, clock_off_seconds=clock_off) as system:
        violations = Soak(system, seed, options.fault or list(FAULTS), progress).run(options.minutes)
    print(f"Seed {seed}: {len(violations)} violations", *violations, sep="\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
