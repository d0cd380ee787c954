"""Ways to show a member elsewhere: the one in use, and those that were tried in its place.

All is in metres, east and north of a home that the attacker looks for. The method in use is the real one, somewhere on
the globe; the others are models in the plane.
"""

import math
from collections.abc import Callable

import numpy as np
from after_hours import location
from numpy.typing import NDArray

type Metres = NDArray[np.float64]  # one row of (east, north) for each place
type Shows = Callable[[Metres], Metres]  # the points that one member's starts show
type Household = Callable[[int], Shows]  # the members, by number, who share a home
type Method = Callable[[np.random.Generator], Household]  # a home anywhere

REACH = location.REACH_METRES
KEY = b"a location key of thirty-two byte"
METRES_A_DEGREE = math.radians(location.EARTH_RADIUS_METRES)
EXTENT = 1500.0  # of the plane in each direction: two reaches and the way to the farthest start


def in_use(rng: np.random.Generator) -> Household:
    """`location.fuzz` between 60° S and 60° N: a few hundred metres are flat enough there, to less than a metre."""
    latitude, longitude = rng.uniform(-60, 60), rng.uniform(-179, 179)
    metres = np.array((math.cos(math.radians(latitude)) * METRES_A_DEGREE, METRES_A_DEGREE))
    name = rng.integers(2**62)

    def member(number: int) -> Shows:
        def shows(starts: Metres) -> Metres:
            degrees = starts / metres + (longitude, latitude)
            points = [location.fuzz(north, east, user_id=f"{name} {number}", key=KEY) for east, north in degrees]
            shown: Metres = np.array([(point.longitude, point.latitude) for point in points])
            shown -= (longitude, latitude)
            shown *= metres
            return shown

        return shows

    return member


def scattered(spacing: float, *, shared: bool = False, common: int | None = None) -> Method:
    """The method in use with its parts apart: one candidate in each square cell, the best-ranked in reach is shown.

    `shared` candidates are everybody's, and a member's own ranks choose. With `common`, ranks that are everybody's,
    too, leave so many of the candidates in reach, and the member's choose among those.
    """

    def home(rng: np.random.Generator) -> Household:
        edges = np.arange(-EXTENT, EXTENT, spacing) + rng.uniform(0, spacing)
        corners = np.stack(np.meshgrid(edges, edges), axis=-1).reshape(-1, 2)
        everybodys = rng.permutation(corners + rng.uniform(0, spacing, corners.shape))

        def member(number: int) -> Shows:
            own = np.random.default_rng([int(everybodys[0, 0] * 1e6) % 2**32, number])
            candidates = everybodys if shared else corners + own.uniform(0, spacing, corners.shape)
            ranks = own.permutation(len(candidates))

            def shows(starts: Metres) -> Metres:
                left = np.linalg.norm(starts[:, None] - candidates, axis=2) <= REACH
                if common is not None:
                    left &= left.cumsum(axis=1) <= common
                shown: Metres = candidates[np.where(left, ranks, len(ranks)).argmin(axis=1)]
                return shown

            return shows

        return member

    return home


def hexagons(rng: np.random.Generator) -> Household:
    """The nearest point of a member's own honeycomb, turned and shifted: as few changes from place to place as can be.

    Not uniform over the disc: only over the hexagon in it.
    """
    household = int(rng.integers(2**62))

    def member(number: int) -> Shows:
        own = np.random.default_rng([household, number])
        numbers = np.arange(-6, 7)
        across, up = np.meshgrid(numbers, numbers)
        side = REACH * math.sqrt(3)
        lattice = np.stack((across + up / 2, up * math.sqrt(3) / 2), axis=-1).reshape(-1, 2) * side
        angle = own.uniform(0, math.tau)
        turn = np.array(((math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))))
        points = (lattice + own.uniform(0, 1, 2) @ np.array(((1, 0), (0.5, math.sqrt(3) / 2))) * side) @ turn

        def shows(starts: Metres) -> Metres:
            shown: Metres = points[np.linalg.norm(starts[:, None] - points, axis=2).argmin(axis=1)]
            return shown

        return shows

    return member


def remembering(rng: np.random.Generator) -> Household:
    """The method in use, but the point that was shown last is shown again while it is in reach."""
    household = in_use(rng)

    def member(number: int) -> Shows:
        fuzzed = household(number)

        def shows(starts: Metres) -> Metres:
            points = fuzzed(starts)
            for last, (start, point) in enumerate(zip(starts[1:], points[1:], strict=True)):
                if math.dist(start, points[last]) <= REACH:
                    point[:] = points[last]
            return points

        return shows

    return member


METHODS: dict[str, Method] = {
    "in-use": in_use,
    "remembering": remembering,
    "sparse": scattered(350),
    "shared": scattered(111, shared=True),
    "sparse-shared": scattered(350, shared=True),
    "three-in-common": scattered(111, shared=True, common=3),
    "one-in-common": scattered(111, shared=True, common=1),
    "hexagons": hexagons,
}
