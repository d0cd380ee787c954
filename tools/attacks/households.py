"""Homes that an attacker looks for, somewhere on the globe, in metres east and north of each."""

import math
from collections.abc import Callable

import numpy as np
from after_hours.members import location
from numpy.typing import NDArray

type Metres = NDArray[np.float64]  # one row of (east, north) for each place
type Shows = Callable[[Metres], Metres]  # the points that one member's starts show
type Household = Callable[[int], Shows]  # the members, by number, who share a home

REACH = location.REACH_METRES
KEY = b"a location key of thirty-two byte"
METRES_A_DEGREE = math.radians(location.EARTH_RADIUS_METRES)


def household_of(rng: np.random.Generator) -> Household:
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
