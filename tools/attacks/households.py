"""Homes that an attacker looks for, somewhere on the globe, in metres east and north of each."""

import math

import numpy as np
from after_hours.members import location
from numpy.typing import NDArray

type Metres = NDArray[np.float64]  # one row of (east, north) for each place

REACH = location.REACH_METRES
KEY = b"a location key of thirty-two byte"
METRES_A_DEGREE = math.radians(location.EARTH_RADIUS_METRES)


class Household:
    """A home between 60° S and 60° N, where a few hundred metres are flat to less than a metre, and its members."""

    def __init__(self, rng: np.random.Generator) -> None:
        latitude, longitude = rng.uniform(-60, 60), rng.uniform(-179, 179)
        self._home = (longitude, latitude)
        self._metres = np.array((math.cos(math.radians(latitude)) * METRES_A_DEGREE, METRES_A_DEGREE))
        self._name = rng.integers(2**62)

    def shown(self, starts: Metres, *, member: int = 0) -> Metres:
        """Return the points that `location.fuzz` shows for a member's starts. Members are known by numbers."""
        degrees = starts / self._metres + self._home
        user_id = f"{self._name} {member}"
        points = [location.fuzz(north, east, user_id=user_id, key=KEY) for east, north in degrees]
        shown: Metres = np.array([(point.longitude, point.latitude) for point in points])
        shown -= self._home
        shown *= self._metres
        return shown
