"""The point other members may see instead of where a member really is.

The map is strewn with candidate points, about one in each 111 by 111 m cell, and a keyed hash gives every member
a secret rank for each of them. The point shown is the best-ranked candidate within reach of the exact position. So

- it is uniform over the disc: each candidate in reach is as likely to be ranked best as any other;
- it stays the same while GPS wanders: moving a little changes few of the candidates in reach, and hardly ever the best;
- there is no offset to learn: nothing is added to the exact position, so a known true point reveals no vector, and
  places more than two reaches apart share no candidate and are independent.

Why not an offset for each grid cell, and what attackers were measured to achieve: docs/decisions/fuzzed-location.md.

Sources: HMAC, RFC 2104. Great-circle distance by the haversine, R. W. Sinnott, "Virtues of the Haversine", Sky and
Telescope 68 (1984). Best-ranked element as a stable choice from overlapping sets: A. Broder, "On the resemblance and
containment of documents" (1997), min-wise hashing. What repeated, freshly drawn noise gives away: M. Andrés et al.,
"Geo-indistinguishability", ACM CCS 2013, and RFC 6772 (geolocation policy), which obscures by landmarks as well.
"""

import hmac
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

EARTH_RADIUS_METRES = 6_371_008.8  # mean radius (IUGG)

# The promise is 500 m. The sphere above is up to 0.45 % smaller than the WGS 84 ellipsoid is curved (at the poles), so
# 495 m here is at most 497.3 m on the ground. Candidates already have 3 decimals: no rounding comes after the check.
REACH_METRES = 495.0
_REACH = REACH_METRES / EARTH_RADIUS_METRES  # as an angle, radians

# Everything is counted in thousandths of a degree, as integers, so that a candidate is exactly what will be shown.
_PER_DEGREE = 1000
_POLE = 90 * _PER_DEGREE
_CIRCLE = 360 * _PER_DEGREE


@dataclass(frozen=True, slots=True)
class Point:
    """A position in degrees. Its repr has no coordinates, since exact ones must not reach a log by accident."""

    latitude: float = field(repr=False)
    longitude: float = field(repr=False)


def fuzz(latitude: float, longitude: float, *, user_id: str, key: bytes) -> Point:
    """Return the point that other members may see for a member at this exact position.

    `latitude` is from -90 to 90 and `longitude` from -180 to 180 degrees (the caller has checked), and so is the
    answer. It has 3 decimals, lies within 500 m, and is the same for the same member, place and key. Whoever holds
    `key` can search for the position behind a point, and changing it gives every member a second, independent point:
    keep it secret and keep it for good.
    """
    _, row, column = min(_candidates_in_reach(latitude, longitude, user_id=user_id, key=key))
    return Point(latitude=row / _PER_DEGREE, longitude=column / _PER_DEGREE)


def _candidates_in_reach(
    latitude: float, longitude: float, *, user_id: str, key: bytes
) -> Iterator[tuple[int, int, int]]:
    """Yield (rank, latitude, longitude) in thousandths of a degree. Never empty: the nearest is within 250 m."""
    reach_degrees = math.degrees(_REACH)
    south = math.ceil((latitude - reach_degrees) * _PER_DEGREE)
    north = math.floor((latitude + reach_degrees) * _PER_DEGREE)
    for row in range(max(south, -_POLE), min(north, _POLE) + 1):
        cells = _cells_around(row)
        for cell in _cells_near(latitude, longitude, cells=cells):
            rank, place_in_cell = _draw(key, user_id, row, cell)
            # In integers: exactly what will be shown, and from -180.000 to 179.999 by construction.
            column = ((cell << 64) + place_in_cell) * _CIRCLE // (cells << 64) - _CIRCLE // 2
            if _distance(latitude, longitude, row / _PER_DEGREE, column / _PER_DEGREE) <= _REACH:
                yield rank, row, column


def _cells_around(row: int) -> int:
    """Count the cells of a parallel: as wide as parallels are apart, so that the density is even up to the poles."""
    return max(1, round(_CIRCLE * math.cos(math.radians(row / _PER_DEGREE))))


def _cells_near(latitude: float, longitude: float, *, cells: int) -> Iterator[int]:
    """Yield each cell of a parallel that can hold a point in reach, once, across the antimeridian too."""
    cos_latitude, sin_reach = math.cos(math.radians(latitude)), math.sin(_REACH)
    if cos_latitude <= sin_reach:  # a pole is in reach: so is every longitude
        yield from range(cells)
        return
    span = math.degrees(math.asin(sin_reach / cos_latitude))
    # One cell more on each side: a cell's candidate is cut down to 3 decimals and may slip out of its western edge.
    west = math.floor((longitude - span + 180) / 360 * cells) - 1
    east = math.floor((longitude + span + 180) / 360 * cells) + 1
    for cell in range(west, min(east, west + cells - 1) + 1):
        yield cell % cells


def _draw(key: bytes, user_id: str, row: int, cell: int) -> tuple[int, int]:
    """Return a member's rank for a cell's candidate and its place in the cell, both uniform over 64 bits."""
    # Fixed-width numbers first: no two (cell, member) pairs make the same message.
    message = struct.pack(">ii", row, cell) + user_id.encode()
    rank, place_in_cell = struct.unpack_from(">QQ", hmac.digest(key, message, "sha256"))
    return rank, place_in_cell


def _distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the great-circle distance in radians (haversine: exact for small distances, and at the poles)."""
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    haversine = (
        math.sin((other_north - north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    )
    return 2 * math.asin(min(1.0, math.sqrt(haversine)))
