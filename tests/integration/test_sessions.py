"""Sessions never lie: the database's clock alone decides whether a session is live."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from after_hours.entrypoints.errors import NoActiveSession, SessionAlreadyActive, TooManyStarts
from after_hours.foundation.database import Database
from after_hours.members import sessions

from tests.support.phone import LATITUDE, LONGITUDE, START, Phone, refused
from tests.support.world import World

PLACE = "SELECT latitude, longitude, fuzzed_latitude, fuzzed_longitude FROM after_hours_sessions WHERE id = %s"

pytestmark = pytest.mark.usefixtures("profile")


def test_a_session_lasts_as_long_as_asked_and_is_read_while_it_is_live(phone: Phone, world: World) -> None:
    none = {"success": True, "active": False, "session": None}
    for minutes in (15, 30, 60):
        assert phone.call("get_session").body == none
        session = phone.start(duration=minutes)
        assert session.expires_at - session.started_at == timedelta(minutes=minutes)
        assert session.duration_minutes == minutes
        assert minutes * 60 - 10 < session.remaining_seconds <= minutes * 60
        answer = phone.call("get_session").body
        assert (answer["active"], answer["session"]["id"]) == (True, str(session.id))
        assert set(answer["session"]) == {"id", "startedAt", "expiresAt", "durationMinutes", "remainingSeconds"}
        with refused("409 SESSION_ALREADY_ACTIVE") as refusal:
            phone.start(duration=60)
        assert (refusal.value.session.id, refusal.value.session.expires_at) == (session.id, session.expires_at)
        world.pass_time(minutes=minutes)
    assert phone.call("get_session").body == none
    for change in (phone.end, phone.extend):
        with refused("404 NO_ACTIVE_SESSION"):
            change()


def test_only_the_fuzzed_place_is_kept_and_only_while_live(phone: Phone, world: World) -> None:
    session = phone.start()
    [(*exact, latitude, longitude)] = world.rows(PLACE, str(session.id))
    assert exact == [None, None]
    assert 0 < abs(float(latitude) - LATITUDE) < 0.01
    assert 0 < abs(float(longitude) - LONGITUDE) < 0.01
    ended = phone.end()
    assert (ended.id, ended.remaining_seconds) == (session.id, 0)
    assert ended.ended_at <= datetime.now(UTC)
    assert world.rows(PLACE, str(session.id)) == [(None,) * 4]
    assert world.schedules() == {}
    with refused("404 NO_ACTIVE_SESSION"):
        phone.end()


def test_the_device_is_kept_when_the_app_sends_it(phone: Phone, world: World) -> None:
    for device in (None, {}, {"deviceId": None}):
        phone.start(deviceFingerprint=device)
        phone.end()
    assert world.counts("device_fingerprints") == [0]
    session = phone.start(deviceFingerprint={"deviceId": "d-1", "deviceModel": "Phone 7", "platform": None})
    stored = world.rows("SELECT user_id, session_id::text, device_id, device_model, platform FROM device_fingerprints")
    assert stored == [("local-entitled", str(session.id), "d-1", "Phone 7", None)]


def test_without_a_profile_no_session_begins_nor_half_of_one(phone: Phone, world: World) -> None:
    world.rows("DELETE FROM after_hours_profiles")
    with refused("400 PROFILE_REQUIRED"):
        phone.start(deviceFingerprint={"deviceId": "d"})
    assert world.counts("after_hours_sessions", "device_fingerprints") == [0, 0]


def test_a_member_starts_twelve_times_an_hour(phone: Phone, world: World) -> None:
    for _ in range(12):
        phone.start()
        with refused("409 SESSION_ALREADY_ACTIVE"):  # the limit does not hide which session is live
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
@pytest.mark.parametrize("over_an_expired_one", [False, True])
def test_of_many_simultaneous_starts_exactly_one_succeeds(
    phone: Phone, world: World, *, over_an_expired_one: bool
) -> None:
    """An expired session that is open is closed at its planned end, once."""

    def start(database: Database) -> str:
        try:
            return str(sessions.start(database, "local-entitled", sessions.StartSession.model_validate(START)).id)
        except SessionAlreadyActive as refusal:
            return f"refused: {refusal.details['session'].id}"

    if over_an_expired_one:
        phone.start()
        world.pass_time(minutes=31)
    outcomes = world.at_once(*[start] * 20)
    [started] = [outcome for outcome in outcomes if not outcome.startswith("refused")]
    assert outcomes.count(f"refused: {started}") == 19
    closed = "SELECT ended_at = expires_at, fuzzed_latitude FROM after_hours_sessions WHERE id::text <> %s"
    assert world.rows(closed, started) == [(True, None)] * over_an_expired_one


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
