"""The one-shot schedules of a session, and what they send: early, late, twice, or for a session that is no more."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.support.phone import Phone
from tests.support.world import MEMBERS, SCHEDULE_GROUP, World, schedules_of

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


@pytest.mark.parametrize(
    ("minutes", "event", "outcomes"),
    [
        (30, "expiry", ["expired", "ignored"]),
        (90, "expiry", ["expired", "ignored"]),
        (0, "expiry", ["rescheduled", "rescheduled"]),
        (25, "warning", ["warned", "ignored"]),
        (0, "warning", ["rescheduled", "rescheduled"]),
        (90, "warning", ["ignored"]),
    ],
)
def test_an_event_does_the_right_thing_in_time_early_late_and_twice(
    phone: Phone, world: World, minutes: int, event: str, outcomes: list[str]
) -> None:
    """An early one is scheduled again: the schedule that fired has deleted itself."""
    session = phone.start()
    world.pass_time(minutes=minutes)
    world.delete_schedule(f"{event.replace('expiry', 'expire').replace('warning', 'warn')}-{session.id}")
    assert [world.fire(event, session.id) for _ in outcomes] == outcomes
    ended = "SELECT ended_at = expires_at, fuzzed_latitude IS NULL FROM after_hours_sessions"
    assert world.rows(ended) == [(True, True) if "expired" in outcomes else (None, False)]
    if "rescheduled" in outcomes:
        assert world.schedules() == schedules_of(session)


def test_an_expiry_for_an_extended_session_is_scheduled_again(phone: Phone, world: World) -> None:
    session = phone.start()
    world.pass_time(minutes=29)
    extended = phone.extend()
    assert world.fire("expiry", session.id) == "rescheduled"
    assert world.schedules() == schedules_of(extended)


def test_an_event_for_a_session_that_is_over_or_not_known_changes_nothing(phone: Phone, world: World) -> None:
    session = phone.start()
    ended = phone.end()
    for kind in ("expiry", "warning"):
        assert [world.fire(kind, id_) for id_ in (session.id, uuid4())] == ["ignored"] * 2
    assert world.rows("SELECT ended_at FROM after_hours_sessions") == [(ended.ended_at,)]
    with pytest.raises(ValueError, match="sessionId"):
        world.fire("expiry", "not a uuid")


def test_how_late_a_session_was_ended_is_a_metric(world: World, output: Callable[[], str]) -> None:
    """Of each by itself, in seconds, whether a schedule ended it or the sweep."""

    def lags() -> list[float]:
        lines = [json.loads(line) for line in output().splitlines() if line.startswith('{"_aws"')]
        measured = [line for line in lines if "ExpiryLagSeconds" in line]
        for line in measured:
            [metrics] = line["_aws"]["CloudWatchMetrics"]
            assert {"Name": "ExpiryLagSeconds", "Unit": "Seconds"} in metrics["Metrics"]
        return [lag for line in measured for lag in line["ExpiryLagSeconds"]]

    world.rows(MEMBERS, 120, "-100 seconds")
    [(session,)] = world.rows("SELECT id::text FROM after_hours_sessions LIMIT 1")
    assert world.fire("expiry", session) == "expired"
    assert len(lags()) == 1
    assert world.sweep()["expired"] == 119
    world.sweep()
    assert len(lags()) == 120
    assert all(100 <= lag < 160 for lag in lags())
