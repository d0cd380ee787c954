"""`make bench PART=attacks`: how far off attackers stay, the table of docs/decisions/fuzzed-location.md.

python -m tools.benchmarks.attacks [--attack streets …] [--homes 300] [--seed 20]
"""

import numpy as np

from tools.attacks.attackers import ATTACKS, errors_of
from tools.local.arguments import Arguments, number

HEAD = "| attacker | homes | 1st | 5th | median | < 100 m |\n|---|---|---|---|---|---|"


def row(name: str, errors: list[float]) -> str:
    first, fifth, median = np.percentile(errors, (1, 5, 50))
    within = sum(error < 100 for error in errors) / len(errors)
    return f"| {name} | {len(errors)} | {first:.0f} | {fifth:.0f} | {median:.0f} | {within:.1%} |"


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--attack", choices=ATTACKS, nargs="+", default=list(ATTACKS))
    parser.add_argument("--homes", type=number(int, 1, 1_000_000), default=300)
    parser.add_argument("--seed", type=number(int, 0, 2**32 - 1), default=20)
    options = parser.parse_args()

    print(f"Errors in metres, seed {options.seed}\n\n{HEAD}", flush=True)
    for attack in options.attack:
        errors = errors_of(attack, homes=options.homes, seed=options.seed)
        print("\n".join(row(name, values) for name, values in errors.items()), flush=True)


if __name__ == "__main__":
    main()
