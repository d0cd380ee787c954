"""How far off attackers of the shown point stay: the table of docs/decisions/fuzzed-location.md, with seed 20."""

import numpy as np

from tools.attacks.attackers import ATTACKS, errors_of
from tools.benchmarks.measuring import table
from tools.local.progress import Progress

_HOMES, _HOMES_OF_A_QUICK_RUN = 300, 20


def measure(progress: Progress, *, quick: bool) -> str:
    rows = []
    for attack in ATTACKS:
        progress(f"attack: {attack}")
        for name, errors in errors_of(attack, homes=_HOMES_OF_A_QUICK_RUN if quick else _HOMES).items():
            within = sum(error < 100 for error in errors) / len(errors)
            rows.append([name, *(f"{error:.0f}" for error in np.percentile(errors, (1, 5, 50))), f"{within:.1%}"])
    return table("attacker | 1st | 5th | median | < 100 m", rows)
