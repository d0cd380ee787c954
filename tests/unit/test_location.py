"""The promises of `location.fuzz`, each by name, and at the end what attackers achieve."""

import dataclasses
import hashlib
import itertools
import math
import random
import statistics

import numpy as np
import pytest
from after_hours.members import location
from after_hours.members.location import Point, fuzz
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tools.attacks.attackers import errors_of

KEY = b"a location key of thirty-two byte"
OTHER_KEY = b"some other key of thirty-two byte"
LONDON = (51.5, -0.12)

# hypothesis likes round numbers; the interesting places are within a disc's reach of a pole or the antimeridian.
near = st.floats(0, 0.02)
latitudes = st.one_of(st.floats(-90, 90), near.map(lambda d: 90 - d), near.map(lambda d: d - 90))
longitudes = st.one_of(st.floats(-180, 180), near.map(lambda d: 180 - d), near.map(lambda d: d - 180))

type Degrees = tuple[float, float]


def unit_vector(place: Degrees) -> tuple[float, float, float]:
    north, east = math.radians(place[0]), math.radians(place[1])
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)


def metres_between(a: Degrees, b: Degrees) -> float:
    """Straight line between two points of the ellipsoid WGS 84; for 500 m the curve is longer by a micrometre."""

    def on_ellipsoid(place: Degrees) -> tuple[float, float, float]:
        x, y, z = unit_vector(place)
        e2 = 0.00669437999014
        normal = 6_378_137.0 / math.sqrt(1 - e2 * z * z)
        return normal * x, normal * y, normal * (1 - e2) * z

    return math.dist(on_ellipsoid(a), on_ellipsoid(b))


def shown(place: Degrees, user_id: str = "user", key: bytes = KEY) -> Degrees:
    point = fuzz(*place, user_id=user_id, key=key)
    return point.latitude, point.longitude


def moved(place: Degrees, east: float, north: float) -> Degrees:
    """The place so many metres away, for places that are not at a pole."""
    metres_a_degree = math.radians(location.EARTH_RADIUS_METRES)
    return place[0] + north / metres_a_degree, place[1] + east / metres_a_degree / math.cos(math.radians(place[0]))


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(latitudes, longitudes, st.text(max_size=20))
@example(90.0, 0.0, "user")
@example(-90.0, 180.0, "user")
@example(89.9955, -180.0, "user")  # the pole comes into reach
@example(-89.9956, 179.9999, "user")
@example(0.0, 180.0, "user")
@example(5e-324, -5e-324, "")
def test_within_500_metres_in_range_and_three_decimals_anywhere(
    latitude: float, longitude: float, user_id: str
) -> None:
    point = shown((latitude, longitude), user_id)
    assert -90 <= point[0] <= 90
    assert -180 <= point[1] <= 180
    assert point == (round(point[0], 3), round(point[1], 3))
    assert metres_between((latitude, longitude), point) <= 500


@settings(max_examples=50, deadline=None)
@given(latitudes, longitudes, longitudes)
def test_a_place_of_many_names_has_one_point(latitude: float, longitude: float, other: float) -> None:
    """The antimeridian has two longitudes, a pole has all, and zero has two signs."""
    assert shown((latitude, 180.0)) == shown((latitude, -180.0))
    assert shown((90.0, longitude)) == shown((90.0, other))
    assert shown((-90.0, longitude)) == shown((-90.0, other))
    assert shown((-0.0, -0.0)) == shown((0.0, 0.0))


def test_another_member_or_another_key_gives_another_point() -> None:
    """About 100 points with 3 decimals lie in the disc at London, so a pair may agree by chance, rarely."""
    members = [shown(LONDON, str(member)) for member in range(400)]
    other_key = [shown(LONDON, str(member), OTHER_KEY) for member in range(400)]
    for pairs in (itertools.pairwise(members), zip(members, other_key, strict=True)):
        assert sum(one == other for one, other in pairs) < 400 * 0.03
    assert len(set(members)) > 80


def test_points_do_not_change_between_releases() -> None:
    """A change of the method gives every member a second, independent point: an attacker's second sample.

    These are points everywhere, and within a few discs of the poles and the antimeridian. They were compared with those
    of the plain way, which ranks and measures every candidate in a box around the disc.
    """
    assert shown((51.501364, -0.14189), "8c7f1d52") == (51.499, -0.141)
    rng, digest = random.Random(13), hashlib.sha256()
    for number in range(2000):
        latitude, longitude = rng.uniform(-90, 90), rng.uniform(-180, 180)
        if number % 2:
            latitude = rng.choice((-1, 1)) * (90 - rng.uniform(0, 0.02))
        if number % 4 > 1:
            longitude = rng.choice((-1, 1)) * (180 - rng.uniform(0, 0.02))
        if number % 5 == 0:
            latitude, longitude = round(latitude, 3), round(longitude, 3)
        key = rng.randbytes(rng.choice((1, 32, 64, 65, 200)))
        digest.update("{} {}\n".format(*shown((latitude, longitude), f"member {number}", key)).encode())
    assert digest.hexdigest() == "b8b2c3f4cc59b237045b7b385cda9059aa47ad94d2db8bd5eb4cb7e72be99c53"


def test_coordinates_stay_out_of_text() -> None:
    point = Point(51.501364, -0.14189)
    assert "51" not in f"{point!r} {point}"
    assert "0.14" not in f"{point!r} {point}"
    assert dataclasses.astuple(point) == (51.501364, -0.14189)


@pytest.mark.parametrize("place", [LONDON, (89.98, 180.0)], ids=str)
def test_uniform_over_the_disc(place: Degrees) -> None:
    """Over many members, each at an own place nearby (at one single place, 3 decimals leave only a lattice)."""
    rng, count = random.Random(6), 2000
    squares, bearings = [], []
    for member in range(count):
        latitude, longitude = moved(place, rng.uniform(-600, 600), rng.uniform(-600, 600))
        here = latitude, (longitude + 180) % 360 - 180
        x, y = offset(here, shown(here, str(member)))
        squares.append((x * x + y * y) / location.REACH_METRES**2)
        bearings.append(math.atan2(x, y) / math.tau % 1)
    for values in (squares, bearings):  # the Kolmogorov-Smirnov statistic, at its 0.1 % level
        between = enumerate(sorted(values))
        assert max(max((i + 1) / count - value, value - i / count) for i, value in between) < 1.95 / math.sqrt(count)


def offset(origin: Degrees, place: Degrees) -> tuple[float, float]:
    """(east, north) in metres in the plane that touches the sphere at the origin; right at the poles too."""
    north, east = math.radians(origin[0]), math.radians(origin[1])
    x, y, z = unit_vector(place)
    eastward = -math.sin(east) * x + math.cos(east) * y
    northward = -math.sin(north) * (math.cos(east) * x + math.sin(east) * y) + math.cos(north) * z
    return location.EARTH_RADIUS_METRES * eastward, location.EARTH_RADIUS_METRES * northward


# ---------------------------------------------------------------------------------------------------------------------
# Attackers. They know the method and everything but the key; `make bench PART=attacks` has the whole table.


@pytest.mark.slow
def test_attacker_with_1000_sessions_of_gps_noise_stays_far_off() -> None:
    errors = errors_of("sessions", homes=15)
    single, average, likelihood = (
        errors[name]
        for name in ("looks at one session", "averages all 1,000 sessions", "weighs every place by its likelihood")
    )
    # Most members show a single point however often they go live, and there is nothing to average.
    assert len(errors["… homes that show one point only"]) > 0.4 * len(single)
    # Averaging does hardly better than one session; freshly drawn offsets would give the home away to 8 m.
    assert statistics.median(average) > max(250, 0.8 * statistics.median(single))
    # An attacker who weighs everything that can be known gains in the border case (a second point), yet not the home.
    assert statistics.median(likelihood) > 200
    assert sum(error < 100 for error in likelihood) < 0.25 * len(likelihood)


def test_attacker_who_knows_a_true_point_a_kilometre_away_learns_nothing() -> None:
    supposing, blind = errors_of("known-point", homes=400).values()
    assert statistics.median(supposing) > 1.1 * statistics.median(blind)
    assert np.percentile(supposing, 5) > 80
