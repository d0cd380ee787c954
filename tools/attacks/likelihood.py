"""The likelihood of each place, for a patient attacker who knows the method and the points, and not the key."""

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tools.attacks.households import REACH, Metres

type Numbers = NDArray[np.float64]

MOST_POINTS = 10  # the most frequent ones tell nearly everything
ALL_RANKINGS_OF = 4  # points; of more, better rankings are looked for


def most_likely(seen: list[Metres], starts: Metres, step: float) -> Metres:
    """The mean of all places, weighted by their likelihood, which is the estimate with the least square error.

    `seen` holds the points of each member's sessions; the members share a home. `starts` are starts as the attacker
    supposes them around a home; `step` is how far apart the weighed places are.
    """
    summaries = [np.unique(points, axis=0, return_counts=True) for points in seen]
    farthest = REACH + np.linalg.norm(starts, axis=1).max()
    points = np.concatenate([points for points, _ in summaries])
    axis = np.arange(-farthest, farthest + step, step)
    places = points[0] + np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    places = places[(np.linalg.norm(places[:, None] - points, axis=2) <= farthest).all(axis=1)]
    logs = np.sum([log_likelihood(places, *summary, starts) for summary in summaries], axis=0)
    weights = np.exp(logs - logs.max())
    estimate: Metres = weights @ places / weights.sum()
    return estimate


def log_likelihood(places: Metres, points: Metres, counts: NDArray[np.int64], starts: Metres) -> Numbers:
    """The logarithm of each place's likelihood, summed over the rankings of the points seen: the true one is secret.

    A start shows the best-ranked point in reach. So for a ranking: what share of the starts has the best in reach, what
    share of the others the second, and so on, and how probable does that make the counts?
    """
    frequent = np.argsort(-counts, kind="stable")[:MOST_POINTS]
    points, counts = points[frequent], counts[frequent]
    patterns = np.zeros((len(places), len(starts)), dtype=np.int64)  # which points are in reach, a bit for each
    for bit, point in enumerate(points):
        east, north = (places[:, None, axis] + starts[None, :, axis] - point[axis] for axis in (0, 1))
        patterns |= (east * east + north * north <= REACH * REACH).astype(np.int64) << bit

    def logs(ranking: tuple[int, ...]) -> Numbers:
        first = np.full(1 << len(points), len(points))  # the best-ranked point of each pattern; one more for none
        every = np.arange(1 << len(points))
        for bit in reversed(ranking):
            first[every >> bit & 1 == 1] = bit
        kinds = len(points) + 1
        numbered = first[patterns] + kinds * np.arange(len(places))[:, None]
        shares = np.bincount(numbered.ravel(), minlength=kinds * len(places)).reshape(-1, kinds) / len(starts)
        result: Numbers = np.log(np.maximum(shares[:, :-1], 0.5 / len(starts))) @ counts
        return result

    if len(points) <= ALL_RANKINGS_OF:
        weighed = [logs(ranking) for ranking in itertools.permutations(range(len(points)))]
    else:
        weighed = _climb(logs, len(points))
    total: Numbers = np.logaddexp.reduce(weighed, axis=0)
    return total


def _climb(logs: Callable[[tuple[int, ...]], Numbers], count: int) -> list[Numbers]:
    """Weigh rankings from the order of counts on, exchanging neighbours as long as that explains more."""
    ranking = tuple(range(count))
    weighed = {ranking: logs(ranking)}
    best, improved = np.logaddexp.reduce(weighed[ranking]), True
    while improved:
        improved = False
        for i in range(count - 1):
            other = (*ranking[:i], ranking[i + 1], ranking[i], *ranking[i + 2 :])
            if other not in weighed:
                weighed[other] = logs(other)
                if (evidence := np.logaddexp.reduce(weighed[other])) > best:
                    ranking, best, improved = other, evidence, True
    return list(weighed.values())
