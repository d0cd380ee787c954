"""The fuzzed point: what other members may see in place of a member's exact position.

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

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

EARTH_RADIUS_METRES = 6_371_008.8  # mean radius (IUGG)

# The promise is 500 m. The sphere above is up to 0.45 % smaller than the WGS 84 ellipsoid is curved (at the poles), so
# 495 m here is at most 497.3 m on the ground. Candidates already have 3 decimals: no rounding comes after the check.
REACH_METRES = 495.0
_REACH = REACH_METRES / EARTH_RADIUS_METRES  # as an angle, radians
_SEARCHED = _REACH * 1.000001  # half a millimetre more, so that rounding loses no candidate: the distance decides

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

    `latitude` is from -90 to 90 and `longitude` from -180 to 180 degrees (the caller has checked), and so are those of
    the point. It has 3 decimals, lies within 500 m, and is the same for the same member, position and key. Keep `key`
    secret: with it, one can search for the position behind a point. Keep it for good: another key gives every member a
    second, independent point.

    >>> point = fuzz(52.52, 13.405, user_id="user-1", key=bytes(32))
    >>> point.latitude, point.longitude
    (52.52, 13.401)
    """
    candidates = _by_rank(latitude, longitude, user_id=user_id, key=key)
    return next(
        point for point in candidates if _distance(latitude, longitude, point.latitude, point.longitude) <= _REACH
    )


def _by_rank(latitude: float, longitude: float, *, user_id: str, key: bytes) -> Iterator[Point]:
    """Yield a member's candidates that can be in reach, the best-ranked first."""
    mac, member = _hmac(key), user_id.encode()
    # Fixed-width numbers first: no two (cell, member) pairs make the same message. The digest begins with the rank.
    ranked = sorted(
        (mac(struct.pack(">ii", row, cell) + member), row, cell) for row, cell in _cells_in_reach(latitude, longitude)
    )
    for digest, row, cell in ranked:
        yield _candidate(digest, row, cell)


def _cells_in_reach(latitude: float, longitude: float) -> Iterator[tuple[int, int]]:
    """Yield (row, cell) of each cell whose candidate can be in reach, once, across the antimeridian too.

    Some 70 cells; a few candidates of the outermost may be too far. The nearest candidate is always within 250 m.
    """
    reach_degrees = math.degrees(_SEARCHED)
    south = math.ceil((latitude - reach_degrees) * _PER_DEGREE)
    north = math.floor((latitude + reach_degrees) * _PER_DEGREE)
    for row in range(max(south, -_POLE), min(north, _POLE) + 1):
        cells = _cells_around(row)
        span = _longitudes_in_reach(latitude, row / _PER_DEGREE)
        # Candidates lie on whole thousandths: the first and the last in reach, counted from the antimeridian.
        west = math.ceil((longitude - span) * _PER_DEGREE) + _CIRCLE // 2
        east = math.floor((longitude + span) * _PER_DEGREE) + _CIRCLE // 2
        first, last = west * cells // _CIRCLE, ((east + 1) * cells - 1) // _CIRCLE
        for cell in range(first, min(last, first + cells - 1) + 1):
            yield row, cell % cells


def _cells_around(row: int) -> int:
    """Return the number of cells on a parallel. They are as wide as rows are apart, so their density is even."""
    return max(1, round(_CIRCLE * math.cos(math.radians(row / _PER_DEGREE))))


def _longitudes_in_reach(latitude: float, other_latitude: float) -> float:
    """Return how many degrees east and west the reach extends on another parallel: the haversine, solved for it."""
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    remainder = math.sin(_SEARCHED / 2) ** 2 - math.sin((other_north - north) / 2) ** 2
    square = remainder / (math.cos(north) * math.cos(other_north))  # beyond 1 the whole parallel is in reach
    return math.degrees(2 * math.asin(math.sqrt(min(max(square, 0.0), 1.0))))


def _candidate(digest: bytes, row: int, cell: int) -> Point:
    """Return the candidate of a cell, in whole thousandths of a degree: exactly what will be shown."""
    [place_in_cell] = struct.unpack_from(">8xQ", digest)  # uniform over 64 bits
    cells = _cells_around(row)
    # Computed in integers, so that the longitude is from -180.000 to 179.999 by construction.
    column = ((cell << 64) + place_in_cell) * _CIRCLE // (cells << 64) - _CIRCLE // 2
    return Point(latitude=row / _PER_DEGREE, longitude=column / _PER_DEGREE)


def _hmac(key: bytes) -> Callable[[bytes], bytes]:
    """Return a function that computes HMAC-SHA256 under one key: it copies hashes that already contain the key.

    `hmac.digest` would hash the key again for every message, which is most of its time.
    """
    size = sha256().block_size
    padded = (sha256(key).digest() if len(key) > size else key).ljust(size, b"\0")
    inner, outer = (sha256(bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))

    def digest(message: bytes) -> bytes:
        inside, outside = inner.copy(), outer.copy()
        inside.update(message)
        outside.update(inside.digest())
        return outside.digest()

    return digest


def _distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the great-circle distance in radians (haversine: exact for small distances, and at the poles)."""
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    haversine = (
        math.sin((other_north - north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    )
    return 2 * math.asin(min(1.0, math.sqrt(haversine)))
