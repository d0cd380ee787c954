"""The plain way to compute the point that others see. A test compares its points with those of the quick way."""

import hmac
import math
import struct
from collections.abc import Iterator

from after_hours.members import location
from after_hours.members.location import Point

_REACH = location.REACH_METRES / location.EARTH_RADIUS_METRES


def plain_fuzz(latitude: float, longitude: float, *, user_id: str, key: bytes) -> Point:
    """Rank and measure every candidate of a box that holds the disc, as the method is described."""
    degrees = math.degrees(_REACH)
    ranked = []
    for row in range(
        max(math.ceil((latitude - degrees) * 1000), -90_000), min(math.floor((latitude + degrees) * 1000), 90_000) + 1
    ):
        cells = max(1, round(360_000 * math.cos(math.radians(row / 1000))))
        for cell in _cells_of_the_box(latitude, longitude, cells):
            message = struct.pack(">ii", row, cell) + user_id.encode()
            rank, place_in_cell = struct.unpack_from(">QQ", hmac.digest(key, message, "sha256"))
            column = ((cell << 64) + place_in_cell) * 360_000 // (cells << 64) - 180_000
            if _distance(latitude, longitude, row / 1000, column / 1000) <= _REACH:
                ranked.append((rank, row, column))
    _, row, column = min(ranked)
    return Point(latitude=row / 1000, longitude=column / 1000)


def _cells_of_the_box(latitude: float, longitude: float, cells: int) -> Iterator[int]:
    cos_latitude, sin_reach = math.cos(math.radians(latitude)), math.sin(_REACH)
    if cos_latitude <= sin_reach:  # a pole is in reach: so is every longitude
        yield from range(cells)
        return
    span = math.degrees(math.asin(sin_reach / cos_latitude))
    west = math.floor((longitude - span + 180) / 360 * cells) - 1
    east = math.floor((longitude + span + 180) / 360 * cells) + 1
    for cell in range(west, min(east, west + cells - 1) + 1):
        yield cell % cells


def _distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    haversine = (
        math.sin((other_north - north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    )
    return 2 * math.asin(min(1.0, math.sqrt(haversine)))
