"""Estimates of a walk: straight walks that could have shown these points in this order, and their mean."""

import math

import numpy as np
from numpy.typing import NDArray

from tools.attacks.households import REACH, Metres

GUESSES = 100_000
DRAWN_AGAIN = 10_000

type Flags = NDArray[np.bool_]
type Radians = NDArray[np.float64]


def along(length: float, starts: int) -> Metres:
    """Even steps on a straight way eastwards; its middle is the origin."""
    return np.stack((np.linspace(-length / 2, length / 2, starts), np.zeros(starts)), axis=1)


def follow(
    shown: Metres, length: float, rng: np.random.Generator, *, direction: float | None = None
) -> tuple[Metres, Metres]:
    """Estimate the middle and the end of a walk of this length that showed these points at even steps.

    Its place is unknown, and its direction (radians from east), when none is given. Guesses are drawn around the point
    of the middle, and then around those that were nearly right, with less and less slack.
    """
    steps = np.linspace(-length / 2, length / 2, len(shown))
    radius, bearing = REACH * np.sqrt(rng.uniform(0, 1, GUESSES)), rng.uniform(0, math.tau, GUESSES)
    middles = shown[len(shown) // 2] + radius[:, None] * _unit(bearing)
    directions = rng.uniform(0, math.tau, GUESSES) if direction is None else np.full(GUESSES, direction)
    for slack in (60.0, 20.0, 0.0):
        possible = _in_reach(middles, directions, steps, shown, slack)
        middles, directions = middles[possible], directions[possible]
        if slack:
            drawn = rng.integers(len(middles), size=DRAWN_AGAIN)
            middles = middles[drawn] + rng.normal(0, slack / 2, (DRAWN_AGAIN, 2))
            turns = rng.normal(0, slack / length, DRAWN_AGAIN) if direction is None else 0.0
            directions = directions[drawn] + turns
    consistent = _consistent(middles, directions, steps, shown)
    if consistent.any():
        middles, directions = middles[consistent], directions[consistent]
    ends = middles + _unit(directions) * length / 2
    return middles.mean(axis=0), ends.mean(axis=0)


def _unit(directions: Radians) -> Metres:
    return np.stack((np.cos(directions), np.sin(directions)), axis=1)


def _in_reach(middles: Metres, directions: Radians, steps: Metres, shown: Metres, slack: float) -> NDArray[np.intp]:
    """Return the numbers of the guesses that have each point in reach where it was shown."""
    possible, units = np.arange(len(middles)), _unit(directions)
    for i in np.argsort(-abs(steps)):  # the ends first: they refuse most
        away = middles[possible] + steps[i] * units[possible] - shown[i]
        possible = possible[(away * away).sum(axis=1) <= (REACH + slack) ** 2]
    return possible


def _consistent(middles: Metres, directions: Radians, steps: Metres, shown: Metres) -> Flags:
    """Tell which guesses rank no point before itself: the point shown outranks every other one in reach there."""
    points, which = np.unique(shown, axis=0, return_inverse=True)
    outranks = np.zeros((len(middles), len(points), len(points)), dtype=bool)
    for step, point in zip(steps, which.ravel(), strict=True):
        here = middles + step * _unit(directions)
        outranks[:, point] |= np.linalg.norm(here[:, None] - points, axis=2) <= REACH
    outranks &= ~np.eye(len(points), dtype=bool)
    for _ in range(3):  # a point outranks all that are outranked by those that it outranks
        outranks |= outranks @ outranks
    refused: Flags = outranks.diagonal(axis1=1, axis2=2).any(axis=1)
    return ~refused
