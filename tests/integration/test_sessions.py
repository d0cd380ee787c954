"""Sessions never lie: the database's clock alone decides whether one is live, and for how long."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.support.phone import Phone, refused
from tests.support.world import World

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
    started, ended = phone.start(), phone.end()
    assert (ended.id, ended.remaining_seconds) == (started.id, 0)
    assert ended.ended_at <= datetime.now(UTC)


def test_the_device_is_kept_when_the_app_sends_it(phone: Phone, world: World) -> None:
    for device in (None, {}, {"deviceId": None}):
        phone.start(deviceFingerprint=device)
        phone.end()
    assert world.counts("device_fingerprints") == [0]
    session = phone.start(deviceFingerprint={"deviceId": "d-1", "deviceModel": "Phone 7", "platform": None})
    stored = world.rows("SELECT user_id, session_id::text, device_id, device_model, platform FROM device_fingerprints")
    assert stored == [("local-entitled", str(session.id), "d-1", "Phone 7", None)]


def test_a_member_starts_twelve_times_an_hour(phone: Phone, world: World) -> None:
    world.rows(
        "INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)"
        " SELECT 'local-entitled', now(), now(), now() FROM generate_series(1, 11)"
    )
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
    world.pass_time(seconds=10)
    phone.start()


def test_no_session_ends_more_than_six_hours_from_now(phone: Phone) -> None:
    session = phone.start(duration=60)
    for _ in range(5):
        extended = phone.extend(60)
    assert (extended.extended_by_minutes, extended.duration_minutes) == (60, 360)
    with refused("409 SESSION_TOO_LONG") as refusal:
        phone.extend()
    assert refusal.value.session.expires_at == extended.expires_at == session.expires_at + timedelta(hours=5)


def test_an_extension_counts_once_however_the_end_that_was_seen_is_written(phone: Phone, world: World) -> None:
    """A call that is repeated after a lost answer has an end that is 15 minutes too early."""
    phone.start()
    world.rows("UPDATE after_hours_sessions SET expires_at = date_trunc('second', expires_at) + interval '0.123456 s'")

    def end() -> datetime:
        session = phone.session()
        assert session
        return session.expires_at

    for by in (timedelta(seconds=1), timedelta(seconds=-1), timedelta(minutes=-15), timedelta(days=-1)):
        with refused("409 SESSION_CHANGED") as refusal:
            phone.extend(expiresAt=(end() + by).isoformat())
        assert refusal.value.session.expires_at == end()
    phone.extend(expiresAt=end().replace(microsecond=0).isoformat())
    phone.extend(expiresAt=(end() + timedelta(microseconds=999_999)).isoformat(timespec="milliseconds"))
    phone.extend(expiresAt=end().isoformat().lower().replace("+00:00", "z"))
    phone.extend(expiresAt=end().astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat())
