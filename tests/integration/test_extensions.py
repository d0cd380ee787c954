"""Extending: extensions add up, end within six hours, and one that is repeated after a lost answer counts once."""

from datetime import datetime, timedelta, timezone

import pytest
from after_hours.foundation.database import Database
from after_hours.members import sessions

from tests.support.phone import Phone, refused
from tests.support.world import World, schedules_of

pytestmark = pytest.mark.usefixtures("profile")


def test_extending_answers_with_what_was_added_and_moves_the_schedules(phone: Phone, world: World) -> None:
    phone.start(duration=15)
    session = phone.extend(60)
    assert (session.extended_by_minutes, session.duration_minutes) == (60, 75)
    assert world.schedules() == schedules_of(session)


@pytest.mark.slow
def test_parallel_extensions_add_up(phone: Phone, world: World) -> None:
    def extend(database: Database) -> None:
        sessions.extend(database, "local-entitled", sessions.ExtendSession.model_validate({"additionalMinutes": 15}))

    before = phone.start()
    world.at_once(*[extend] * 20)
    after = phone.session()
    assert after
    assert after.expires_at - before.expires_at == timedelta(minutes=300)
    assert after.duration_minutes == 330


def test_extending_recreates_a_warning_that_already_fired(phone: Phone, world: World) -> None:
    session = phone.start()
    world.pass_time(minutes=26)
    assert world.fire("warning", session.id) == "warned"
    world.delete_schedule(f"warn-{session.id}")
    extended = phone.extend()
    assert world.schedules() == schedules_of(extended)
    assert world.fire("warning", session.id) == "rescheduled"
    world.pass_time(minutes=15)
    assert world.fire("warning", session.id) == "warned"


def test_no_session_ends_more_than_six_hours_from_now(phone: Phone) -> None:
    session = phone.start(duration=60)
    for _ in range(5):
        extended = phone.extend(60)
    with refused("409 SESSION_TOO_LONG") as refusal:
        phone.extend()
    assert refusal.value.session.expires_at == extended.expires_at == session.expires_at + timedelta(hours=5)


def test_an_extension_repeated_after_a_lost_answer_extends_once(phone: Phone) -> None:
    seen = phone.start().expires_at.isoformat()
    extended = phone.extend(expiresAt=seen)
    with refused("409 SESSION_CHANGED") as refusal:
        phone.extend(expiresAt=seen)
    assert refusal.value.session.expires_at == extended.expires_at


def test_the_end_that_was_seen_may_be_written_in_any_offset_and_be_less_than_a_second_off(
    phone: Phone, world: World
) -> None:
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
    phone.extend(expiresAt=(end().replace(microsecond=0) + timedelta(seconds=1)).isoformat())
    phone.extend(expiresAt=(end() - timedelta(microseconds=999_999)).isoformat())
    phone.extend(expiresAt=(end() + timedelta(microseconds=999_999)).isoformat(timespec="milliseconds"))
    phone.extend(expiresAt=end().isoformat().lower().replace("+00:00", "z"))
    for offset in (timedelta(hours=5, minutes=30), timedelta(hours=-11), timedelta(hours=23, minutes=59)):
        phone.extend(expiresAt=end().astimezone(timezone(offset)).isoformat())
