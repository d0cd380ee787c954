"""Attackers who know all but the key, each looking for one home: how many metres off each stays."""

import math
from collections.abc import Callable

import numpy as np

from tools.attacks.households import Household, Metres
from tools.attacks.likelihood import most_likely

GPS_NOISE = 20.0  # metres, standard deviation on each axis
SESSIONS = 1000
STREET_SESSIONS = 50
NEAREST_STREET, FARTHEST_STREET = 50.0, 300.0
TOGETHER = (2, 3, 5, 10)
KNOWN_POINT = 1000.0  # metres from home
SUPPOSED = 200  # starts around a home, by which an attacker weighs it

type Errors = dict[str, float]  # by the attacker's description
type Attack = Callable[[np.random.Generator, Household], Errors]


def at_home(rng: np.random.Generator, count: int) -> Metres:
    return rng.normal(0, GPS_NOISE, (count, 2))


def in_the_streets(rng: np.random.Generator, count: int) -> Metres:
    radius, bearing = rng.uniform(NEAREST_STREET, FARTHEST_STREET, count), rng.uniform(0, math.tau, count)
    return np.stack((radius * np.cos(bearing), radius * np.sin(bearing)), axis=1)


def metres(estimate: Metres) -> float:
    """How far off home an estimate is: home is the origin."""
    return math.hypot(*estimate)


def thousand_sessions(rng: np.random.Generator, household: Household) -> Errors:
    seen = household.shown(at_home(rng, SESSIONS))
    distinct = np.unique(seen, axis=0)
    likely = metres(most_likely([seen], _supposed(at_home), step=10))
    border = "homes that show one point only" if len(distinct) == 1 else "homes that show more (the border case)"
    return {
        "looks at one session": metres(seen[0]),
        "averages all 1,000 sessions": metres(seen.mean(axis=0)),
        "averages the distinct points": metres(distinct.mean(axis=0)),
        "weighs every place by its likelihood": likely,
        f"… {border}": likely,
    }


def known_point(rng: np.random.Generator, household: Household) -> Errors:
    bearing = rng.uniform(0, math.tau)
    known = np.array(((KNOWN_POINT * math.sin(bearing), KNOWN_POINT * math.cos(bearing)),))
    [there], [here] = household.shown(known), household.shown(np.zeros((1, 2)))
    return {
        "knows a true point 1 km away, supposes the same offset": metres(here - (there - known[0])),
        "the same homes without knowing it": metres(here),
    }


def streets(rng: np.random.Generator, household: Household) -> Errors:
    seen = household.shown(in_the_streets(rng, STREET_SESSIONS))
    likely = metres(most_likely([seen], _supposed(in_the_streets), step=20))
    return {
        "averages 50 starts from streets 50 to 300 m around home": metres(seen.mean(axis=0)),
        "weighs every place by the likelihood of these 50": likely,
    }


def together(rng: np.random.Generator, household: Household) -> Errors:
    """Accounts known to be at one place, each with one session."""
    seen = [household.shown(at_home(rng, 1), member=number) for number in range(max(TOGETHER))]
    return {
        f"knows {count} accounts to be together": metres(most_likely(seen[:count], _supposed(at_home), step=15))
        for count in TOGETHER
    }


def _supposed(starts: Callable[[np.random.Generator, int], Metres]) -> Metres:
    return starts(np.random.default_rng(0), SUPPOSED)


ATTACKS: dict[str, Attack] = {
    "sessions": thousand_sessions,
    "known-point": known_point,
    "streets": streets,
    "together": together,
}


def errors_of(attack: str, *, homes: int, seed: int = 20) -> dict[str, list[float]]:
    """Attack so many homes: errors in metres by the attacker's description. Each home has a seed of its own."""
    errors: dict[str, list[float]] = {}
    for number in range(homes):
        rng = np.random.default_rng([seed, number])
        for name, error in ATTACKS[attack](rng, Household(rng)).items():
            errors.setdefault(name, []).append(error)
    return errors
