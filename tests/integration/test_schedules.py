"""The one-shot schedules of a session, and what they send: early, late, twice, or for a session that is no more."""

from uuid import uuid4

import pytest

from tests.support.phone import Phone
from tests.support.world import SCHEDULE_GROUP, World, schedules_of

pytestmark = pytest.mark.usefixtures("profile")


def test_starting_schedules_the_end_and_a_warning_five_minutes_before(phone: Phone, world: World) -> None:
    session = phone.start()
    assert world.schedules() == schedules_of(session)
    schedule = world.scheduler.get_schedule(Name=f"expire-{session.id}", GroupName=SCHEDULE_GROUP)
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert schedule["Target"]["DeadLetterConfig"]["Arn"].endswith("dead-letters")


def test_an_expiry_in_time_ends_the_session_at_its_planned_end(phone: Phone, world: World) -> None:
    session = phone.start()
    world.pass_time(minutes=30)
    assert world.fire("expiry", session.id) == "expired"
    assert world.rows("SELECT ended_at = expires_at, latitude, fuzzed_latitude FROM after_hours_sessions") == [
        (True, None, None)
    ]


def test_an_early_expiry_ends_nothing_and_is_scheduled_again(phone: Phone, world: World) -> None:
    session = phone.start()
    world.delete_schedule(f"expire-{session.id}")  # it fired, and deleted itself
    assert world.fire("expiry", session.id) == "rescheduled"
    assert phone.session()
    assert world.schedules() == schedules_of(session)


def test_an_expiry_for_an_extended_session_is_scheduled_again(phone: Phone, world: World) -> None:
    session = phone.start()
    world.pass_time(minutes=29)
    extended = phone.extend()
    assert world.fire("expiry", session.id) == "rescheduled"
    assert world.schedules() == schedules_of(extended)


def test_a_late_or_doubled_expiry_changes_nothing_more(phone: Phone, world: World) -> None:
    session = phone.start()
    world.pass_time(minutes=90)
    assert [world.fire("expiry", session.id) for _ in range(3)] == ["expired", "ignored", "ignored"]
    assert world.rows("SELECT ended_at = expires_at FROM after_hours_sessions") == [(True,)]


def test_an_expiry_of_a_session_the_member_ended_leaves_its_end(phone: Phone, world: World) -> None:
    session = phone.start()
    ended = phone.end()
    assert world.fire("expiry", session.id) == "ignored"
    assert world.rows("SELECT ended_at FROM after_hours_sessions") == [(ended.ended_at,)]


@pytest.mark.parametrize("kind", ["expiry", "warning"])
def test_events_for_unknown_sessions_are_ignored(world: World, kind: str) -> None:
    assert world.fire(kind, uuid4()) == "ignored"


def test_a_member_is_warned_once(phone: Phone, world: World) -> None:
    session = phone.start()
    world.pass_time(minutes=25)
    assert [world.fire("warning", session.id) for _ in range(2)] == ["warned", "ignored"]


def test_an_early_warning_is_scheduled_again(phone: Phone, world: World) -> None:
    session = phone.start()
    assert world.fire("warning", session.id) == "rescheduled"
    assert world.schedules() == schedules_of(session)


def test_an_event_nobody_should_send_fails_the_invocation(world: World) -> None:
    with pytest.raises(ValueError, match="sessionId"):
        world.fire("expiry", "not a uuid")
