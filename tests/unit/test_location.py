"""The promises of `location.fuzz`, each by name, and at the end what attackers achieve."""

import dataclasses
import itertools
import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence

import pytest
from after_hours.members import location
from after_hours.members.location import Point, fuzz
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tools.attacks.attackers import errors_of
from tools.attacks.plain import plain_fuzz

KEY = b"a location key of thirty-two byte"
OTHER_KEY = b"some other key of thirty-two byte"
LONDON = (51.5, -0.12)

# hypothesis likes round numbers; the interesting places are within a disc's reach of a pole or the antimeridian.
near = st.floats(0, 0.02)
latitudes = st.one_of(st.floats(-90, 90), near.map(lambda d: 90 - d), near.map(lambda d: d - 90))
longitudes = st.one_of(st.floats(-180, 180), near.map(lambda d: 180 - d), near.map(lambda d: d - 180))

type Degrees = tuple[float, float]
type Metres = tuple[float, float]


def unit_vector(place: Degrees) -> tuple[float, float, float]:
    north, east = math.radians(place[0]), math.radians(place[1])
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)


def metres_between(a: Degrees, b: Degrees) -> float:
    """Great-circle distance from the chord of two unit vectors: another way than the module's haversine."""
    return 2 * 6_371_008.8 * math.asin(math.dist(unit_vector(a), unit_vector(b)) / 2)


def metres_between_on_wgs84(a: Degrees, b: Degrees) -> float:
    """Straight line between two points of the ellipsoid; for 500 m the curve is longer by less than a micrometre."""

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
    metres_a_degree = math.radians(6_371_008.8)
    return place[0] + north / metres_a_degree, place[1] + east / metres_a_degree / math.cos(math.radians(place[0]))


def offset(origin: Degrees, place: Degrees) -> Metres:
    """(east, north) in metres in the plane that touches the sphere at the origin; right at the poles too."""
    north, east = math.radians(origin[0]), math.radians(origin[1])
    x, y, z = unit_vector(place)
    eastward = -math.sin(east) * x + math.cos(east) * y
    northward = -math.sin(north) * (math.cos(east) * x + math.sin(east) * y) + math.cos(north) * z
    return 6_371_008.8 * eastward, 6_371_008.8 * northward


class TestPromises:
    @pytest.mark.slow
    @settings(max_examples=800, deadline=None)
    @given(latitudes, longitudes, st.text(max_size=20))
    @example(90.0, 0.0, "user")
    @example(-90.0, 180.0, "user")
    @example(89.9955, -180.0, "user")  # the pole comes into reach
    @example(-89.9956, 179.9999, "user")
    @example(0.0, 180.0, "user")
    @example(5e-324, -5e-324, "")
    def test_within_500_metres_in_range_and_three_decimals_anywhere(
        self, latitude: float, longitude: float, user_id: str
    ) -> None:
        point = fuzz(latitude, longitude, user_id=user_id, key=KEY)

        assert -90 <= point.latitude <= 90
        assert -180 <= point.longitude <= 180
        assert point.latitude == round(point.latitude, 3)
        assert point.longitude == round(point.longitude, 3)
        there = point.latitude, point.longitude
        assert metres_between((latitude, longitude), there) <= location.REACH_METRES + 1e-3
        assert metres_between_on_wgs84((latitude, longitude), there) <= 500

    def test_within_500_metres_for_many_members_at_awkward_places(self) -> None:
        for place in [
            (90, 0),
            (-90, 77),
            (89.9955, 10),
            (89.99, -180),
            (60, 180),
            (-16.8, -180),
            (0, 0),
            (0, 179.9999),
        ]:
            for member in range(100):
                assert metres_between_on_wgs84(place, shown(place, str(member))) <= 500

    @settings(max_examples=100, deadline=None)
    @given(latitudes, longitudes, longitudes)
    def test_a_place_of_many_names_has_one_point(self, latitude: float, longitude: float, other: float) -> None:
        """The antimeridian has two longitudes, a pole has all, and zero has two signs."""
        assert shown((latitude, 180.0)) == shown((latitude, -180.0)) == shown((latitude, 180.0))
        assert shown((90.0, longitude)) == shown((90.0, other))
        assert shown((-90.0, longitude)) == shown((-90.0, other))
        assert shown((-0.0, -0.0)) == shown((0.0, 0.0))

    def test_points_cross_the_antimeridian_and_the_pole_to_all_sides(self) -> None:
        across = [shown((10.0, 180.0), str(member))[1] for member in range(100)]
        assert min(across) < -179.99
        assert max(across) > 179.99
        around_pole = [shown((90.0, 0.0), str(member))[1] for member in range(200)]
        assert {int(longitude // 90) for longitude in around_pole} == {-2, -1, 0, 1}

    def test_another_member_or_another_key_gives_another_point(self) -> None:
        """About 100 points with 3 decimals lie in the disc at London, so a pair may agree by chance, rarely."""
        members = [shown(LONDON, str(member)) for member in range(400)]
        other_key = [shown(LONDON, str(member), OTHER_KEY) for member in range(400)]

        assert sum(a == b for a, b in itertools.pairwise(members)) < 400 * 0.03
        assert sum(a == b for a, b in zip(members, other_key, strict=True)) < 400 * 0.03
        assert len(set(members)) > 80

    def test_points_do_not_change_between_releases(self) -> None:
        """A change of the method gives every member a second, independent point: an attacker's second sample."""
        assert shown((51.501364, -0.14189), "8c7f1d52") == (51.499, -0.141)
        assert shown((-90.0, 0.0), "8c7f1d52") == (-89.997, -1.915)

    @pytest.mark.slow
    def test_the_plain_way_leads_to_the_same_points(self) -> None:
        """Everywhere, and within a few discs of the poles and the antimeridian."""
        rng = random.Random(13)
        for number in range(2000):
            latitude, longitude = rng.uniform(-90, 90), rng.uniform(-180, 180)
            if number % 2:
                latitude = rng.choice((-1, 1)) * (90 - rng.uniform(0, 0.02))
            if number % 4 > 1:
                longitude = rng.choice((-1, 1)) * (180 - rng.uniform(0, 0.02))
            if number % 5 == 0:
                latitude, longitude = round(latitude, 3), round(longitude, 3)
            member, key = f"member {number}", rng.randbytes(rng.choice((1, 32, 64, 65, 200)))

            point, plain = (way(latitude, longitude, user_id=member, key=key) for way in (location.fuzz, plain_fuzz))
            assert dataclasses.astuple(point) == dataclasses.astuple(plain), (latitude, longitude)

    def test_coordinates_stay_out_of_text(self) -> None:
        point = Point(51.501364, -0.14189)
        assert "51" not in f"{point!r} {point}"
        assert "0.14" not in f"{point!r} {point}"
        assert dataclasses.astuple(point) == (51.501364, -0.14189)


class TestUniformity:
    @pytest.mark.parametrize(
        "place", [(0.0, 0.0), LONDON, (69.6, 18.9), (-16.8, 180.0), (89.98, 40.0), (90.0, 0.0)], ids=str
    )
    def test_uniform_over_the_disc(self, place: Degrees) -> None:
        """Over many members, each at an own place nearby (at one single place, 3 decimals leave only a lattice)."""
        rng = random.Random(6)
        count = 2000
        squares, bearings = [], []
        sectors: Counter[tuple[int, int]] = Counter()
        for member in range(count):
            if place == (90.0, 0.0):
                here = 90 - rng.uniform(0, 0.006), rng.uniform(-180, 180)
            else:
                latitude, longitude = moved(place, rng.uniform(-600, 600), rng.uniform(-600, 600))
                here = latitude, (longitude + 180) % 360 - 180
            x, y = offset(here, shown(here, str(member)))
            square, bearing = (x * x + y * y) / location.REACH_METRES**2, math.atan2(x, y) / math.tau % 1
            squares.append(square)
            bearings.append(bearing)
            sectors[min(int(square * 4), 3), int(bearing * 6)] += 1

        limit = 1.95 / math.sqrt(count)  # the 0.1 % level of Kolmogorov-Smirnov
        assert distance_from_uniform(squares) < limit
        assert distance_from_uniform(bearings) < limit
        expected = count / 24
        chi_square = sum((sectors[ring, part] - expected) ** 2 / expected for ring in range(4) for part in range(6))
        assert chi_square < 49.7  # the 0.1 % level at 23 degrees of freedom


def distance_from_uniform(values: Sequence[float]) -> float:
    """The Kolmogorov-Smirnov statistic of values that should be uniform in 0..1."""
    count = len(values)
    return max(max((i + 1) / count - value, value - i / count) for i, value in enumerate(sorted(values)))


# ---------------------------------------------------------------------------------------------------------------------
# Attackers. They know the method and everything but the key; `make bench PART=attacks` has the whole table.


def percentiles(errors: Sequence[float]) -> tuple[float, float]:
    """The 5th and the median: how close the lucky attackers come, and how far off the usual one stays."""
    cuts = statistics.quantiles(errors, n=20, method="inclusive")
    return cuts[0], cuts[9]


def share_within(metres: float, errors: Sequence[float]) -> float:
    return sum(error < metres for error in errors) / len(errors)


def candidates_in_reach(place: Degrees) -> set[Degrees]:
    candidates = location._by_rank(*place, user_id="user", key=KEY)
    points = {(candidate.latitude, candidate.longitude) for candidate in candidates}
    return {point for point in points if metres_between(place, point) <= location.REACH_METRES}


class TestAttackers:
    @pytest.mark.slow
    def test_attacker_with_1000_sessions_of_gps_noise_stays_far_off(self) -> None:
        errors = errors_of("sessions", homes=30)

        single, average, likelihood = (
            errors[name]
            for name in (
                "looks at one session",
                "averages all 1,000 sessions",
                "weighs every place by its likelihood",
            )
        )
        # Most members show a single point however often they go live, and there is nothing to average.
        assert len(errors["… homes that show one point only"]) > 0.4 * len(single)
        # Averaging does hardly better than one session; freshly drawn offsets would give the home away to 8 m.
        assert percentiles(average)[1] > 0.8 * percentiles(single)[1]
        assert percentiles(average)[1] > 250
        # Whoever weighs everything that can be known gains in the border case (a second point), yet not the home.
        assert percentiles(likelihood)[1] > 200
        assert share_within(100, likelihood) < 0.25

    def test_attacker_who_knows_a_true_point_a_kilometre_away_learns_nothing(self) -> None:
        supposing, blind = errors_of("known-point", homes=400).values()

        assert percentiles(supposing)[1] > 1.1 * percentiles(blind)[1]
        assert percentiles(supposing)[0] > 80

    @pytest.mark.slow
    def test_starts_from_the_streets_and_accounts_together_tell_what_the_decision_says_they_do(self) -> None:
        """Bounds on both sides: an attacker who got worse would make everything look safe."""
        _, streets = errors_of("streets", homes=40).values()
        two, _, five, ten = errors_of("together", homes=40).values()

        assert 85 < percentiles(streets)[1] < 170
        assert 170 < percentiles(two)[1] < 290
        assert 70 < percentiles(five)[1] < 150
        assert 35 < percentiles(ten)[1] < 85

    def test_places_a_kilometre_apart_have_no_candidate_in_common(self) -> None:
        """Each candidate is a hash of its own: no candidate in common is independence, not just no correlation."""
        rng = random.Random(2)
        for _ in range(20):
            home = rng.uniform(-80, 80), rng.uniform(-179, 179)
            bearing = rng.uniform(0, math.tau)
            known = moved(home, 1000 * math.sin(bearing), 1000 * math.cos(bearing))
            here, there = (candidates_in_reach(place) for place in (home, known))
            assert 40 < len(here) < 90
            assert not here & there

    def test_attacker_who_knows_a_true_point_next_door_finds_no_offset(self) -> None:
        """At 100 m the point shown is mostly the same one: it does not follow the member about."""
        rng = random.Random(3)
        same = 0
        for member in range(300):
            home = rng.uniform(-60, 60), rng.uniform(-179, 179)
            same += shown(home, str(member)) == shown(moved(home, 100, 0), str(member))
        assert 0.65 < same / 300 < 0.88  # shared / all candidates of two discs 100 m apart: 0.77
