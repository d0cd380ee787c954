"""Sessions never lie: live is what the database's clock says, whoever starts, ends or asks."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from after_hours.entrypoints.errors import NoActiveSession, SessionAlreadyActive, TooManyStarts
from after_hours.foundation.database import Database
from after_hours.members import sessions

from tests.support.phone import LATITUDE, LONGITUDE, START, Phone, refused
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("profile")


def start(database: Database) -> str:
    """Start as a function does, for tests with threads. The id of the session, or of the one that is live already."""
    try:
        return str(sessions.start(database, "local-entitled", sessions.StartSession.model_validate(START)).id)
    except SessionAlreadyActive as refusal:
        return f"refused: {refusal.details['session'].id}"


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_a_session_lasts_as_long_as_asked(phone: Phone, minutes: int) -> None:
    session = phone.start(duration=minutes)
    assert session.expires_at - session.started_at == timedelta(minutes=minutes)
    assert session.duration_minutes == minutes
    assert minutes * 60 - 10 < session.remaining_seconds <= minutes * 60


def test_only_the_fuzzed_place_is_kept_and_only_while_live(phone: Phone, world: World) -> None:
    phone.start()
    ((latitude, longitude, seen_latitude, seen_longitude),) = world.rows(
        "SELECT latitude, longitude, fuzzed_latitude, fuzzed_longitude FROM after_hours_sessions"
    )
    assert (latitude, longitude) == (None, None)
    assert 0 < abs(float(seen_latitude) - LATITUDE) < 0.01
    assert abs(float(seen_longitude) - LONGITUDE) < 0.01


def test_no_profile_no_session(phone: Phone, world: World) -> None:
    world.rows("DELETE FROM after_hours_profiles")
    with refused("400 PROFILE_REQUIRED"):
        phone.start()
    assert world.counts("after_hours_sessions") == [0]


def test_the_device_is_kept_when_the_app_sends_it(phone: Phone, world: World) -> None:
    session = phone.start(deviceFingerprint={"deviceId": "d-1", "deviceModel": "Phone 7", "platform": None})
    stored = world.rows("SELECT user_id, session_id::text, device_id, device_model, platform FROM device_fingerprints")
    assert stored == [("local-entitled", str(session.id), "d-1", "Phone 7", None)]


@pytest.mark.parametrize("device", [None, {}, {"deviceId": None}])
def test_no_device_no_fingerprint(phone: Phone, world: World, device: Any) -> None:
    phone.start(deviceFingerprint=device)
    assert world.counts("device_fingerprints") == [0]


def test_a_start_while_live_is_refused_with_the_live_session(phone: Phone) -> None:
    first = phone.start()
    with refused("409 SESSION_ALREADY_ACTIVE") as refusal:
        phone.start(duration=60)
    live = refusal.value.session
    assert (live.id, live.expires_at) == (first.id, first.expires_at)


@pytest.mark.slow
def test_of_fifty_simultaneous_starts_exactly_one_succeeds(world: World) -> None:
    outcomes = world.at_once(*[start] * 50)
    (started,) = [outcome for outcome in outcomes if not outcome.startswith("refused")]
    assert outcomes.count(f"refused: {started}") == 49
    assert world.counts("after_hours_sessions") == [1]


@pytest.mark.slow
def test_simultaneous_starts_over_an_expired_session_close_it_once(phone: Phone, world: World) -> None:
    phone.start()
    world.pass_time(minutes=31)
    outcomes = world.at_once(*[start] * 20)
    assert len([outcome for outcome in outcomes if not outcome.startswith("refused")]) == 1
    assert world.rows("SELECT count(*) FILTER (WHERE ended_at = expires_at), count(*) FROM after_hours_sessions") == [
        (1, 2)
    ]


def test_starting_over_an_expired_session_closes_it_at_its_end(phone: Phone, world: World) -> None:
    old = phone.start()
    world.pass_time(minutes=31)
    assert phone.start().id != old.id
    ended = world.rows("SELECT ended_at = expires_at, latitude FROM after_hours_sessions WHERE id = %s", str(old.id))
    assert ended == [(True, None)]


def test_a_start_that_is_refused_for_lack_of_a_profile_leaves_no_half(phone: Phone, world: World) -> None:
    world.rows("DELETE FROM after_hours_profiles")
    with refused("400 PROFILE_REQUIRED"):
        phone.start(deviceFingerprint={"deviceId": "d"})
    assert world.counts("after_hours_sessions", "device_fingerprints") == [0, 0]


def test_get_session_says_what_is_live(phone: Phone, world: World) -> None:
    none = {"success": True, "active": False, "session": None}
    assert phone.call("get_session").body == none
    session = phone.start()
    answer = phone.call("get_session").body
    assert (answer["active"], answer["session"]["id"]) == (True, str(session.id))
    assert set(answer["session"]) == {"id", "startedAt", "expiresAt", "durationMinutes", "remainingSeconds"}
    world.pass_time(minutes=30)
    assert phone.call("get_session").body == none


@pytest.mark.parametrize("change", [Phone.end, Phone.extend])
def test_an_expired_session_can_be_neither_ended_nor_extended(phone: Phone, world: World, change: Any) -> None:
    phone.start()
    world.pass_time(minutes=30)
    with refused("404 NO_ACTIVE_SESSION"):
        change(phone)


def test_ending_erases_the_place_and_the_schedules(phone: Phone, world: World) -> None:
    session = phone.start()
    ended = phone.end()
    assert (ended.id, ended.remaining_seconds) == (session.id, 0)
    assert ended.ended_at <= datetime.now(UTC)
    assert world.rows("SELECT latitude, longitude, fuzzed_latitude, fuzzed_longitude FROM after_hours_sessions") == [
        (None, None, None, None)
    ]
    assert world.schedules() == {}
    with refused("404 NO_ACTIVE_SESSION"):
        phone.end()


@pytest.mark.parametrize("who", ["noPremium", "unverified", "noConsent"])
def test_ending_needs_no_entitlement(world: World, who: str) -> None:
    phone = Phone(who)
    world.rows(
        "INSERT INTO after_hours_sessions (user_id, expires_at) VALUES (%s, now() + interval '1 hour')", phone.id
    )
    phone.end()


def test_a_member_starts_twelve_times_an_hour(phone: Phone, world: World) -> None:
    for _ in range(12):
        phone.start()
        with refused("409 SESSION_ALREADY_ACTIVE"):  # which one may know however often one has started
            phone.start()
        phone.end()
    with refused("429 TOO_MANY_STARTS") as refusal:
        phone.start()
    assert 3500 < refusal.value.retry_after <= 3600
    world.pass_time(minutes=59, seconds=50)
    with refused("429 TOO_MANY_STARTS") as refusal:
        phone.start()
    assert 0 < refusal.value.retry_after <= 10
    world.rows(
        "UPDATE after_hours_sessions SET started_at = started_at - interval '10 seconds'"
        " WHERE id = (SELECT id FROM after_hours_sessions ORDER BY started_at LIMIT 1)"
    )
    phone.start()


@pytest.mark.slow
def test_simultaneous_starts_and_ends_pass_no_limit(world: World) -> None:
    def start_and_end(database: Database) -> int:
        started = 0
        for _ in range(6):
            with suppress(SessionAlreadyActive, TooManyStarts, NoActiveSession):
                sessions.start(database, "local-entitled", sessions.StartSession.model_validate(START))
                started += 1
                sessions.end(database, "local-entitled")
        return started

    assert sum(world.at_once(*[start_and_end] * 6)) <= 12
    assert world.counts("after_hours_sessions")[0] <= 12
