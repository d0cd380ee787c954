"""The one-shot schedules of a session: their events may come early, late or twice, and the sweep repairs them."""

import json
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from after_hours.foundation import clients
from after_hours.outbox import schedules
from botocore.awsrequest import AWSPreparedRequest

from tests.support.phone import Phone
from tests.support.world import MEMBERS, SCHEDULE_GROUP, World, schedules_of, soon

pytestmark = pytest.mark.usefixtures("profile")

ENDED_BY_HAND = """
    UPDATE after_hours_sessions SET ended_at = now(), fuzzed_latitude = NULL, fuzzed_longitude = NULL
    WHERE ended_at IS NULL
"""


@pytest.fixture
def asked(environment: None) -> list[str]:
    """The methods of the requests to the scheduler."""
    clients.start_anew()
    methods: list[str] = []
    clients.scheduler().meta.events.register(
        "before-send.scheduler", lambda request, **_: methods.append(request.method)
    )
    return methods


def test_starting_schedules_the_end_and_a_warning_five_minutes_before(phone: Phone, world: World) -> None:
    session = phone.start()
    assert world.schedules() == schedules_of(session)
    schedule = world.scheduler.get_schedule(Name=f"expire-{session.id}", GroupName=SCHEDULE_GROUP)
    assert (schedule["ScheduleExpressionTimezone"], schedule["FlexibleTimeWindow"]) == ("UTC", {"Mode": "OFF"})
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_no_member_waits_for_a_scheduler_that_did_not_answer_a_moment_ago(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "carry_out", lambda _: pytest.fail("called"))
    monkeypatch.setattr(schedules.breaker, "_open_until", time.time() + 20)
    phone.start()
    assert world.rows("SELECT kind FROM after_hours_outbox") == [("schedules",)]


def test_members_are_served_without_scheduler_and_bus_and_a_sweep_catches_up(phone: Phone, world: World) -> None:
    for call in (phone.start, phone.extend, phone.end):
        with world.down("SCHEDULER", "EVENTBRIDGE"):
            call()
        world.leases_run_out()
        did = world.sweep()
        assert (did["eventsPublished"], did["schedulesRepaired"]) == (1, 1)
        session = phone.session()
        assert world.schedules() == (schedules_of(session) if session else {})


def test_an_event_does_the_right_thing_in_time_early_late_and_twice(phone: Phone, world: World) -> None:
    """An early one is scheduled again, since the schedule that fired has deleted itself."""
    session = phone.start()
    world.pass_time(minutes=26)
    assert world.fire("warning", session.id) == "warned"
    for kind in ("warn", "expire"):
        world.delete_schedule(f"{kind}-{session.id}")
    extended = phone.extend()
    assert world.schedules() == schedules_of(extended)
    world.delete_schedule(f"expire-{session.id}")
    assert [world.fire(kind, session.id) for kind in ("expiry", "warning")] == ["rescheduled"] * 2
    assert world.schedules() == schedules_of(extended)
    world.pass_time(minutes=15)
    assert world.fire("warning", session.id) == "warned"
    ended = phone.end()
    assert world.schedules() == {}
    for kind in ("expiry", "warning"):
        assert [world.fire(kind, id_) for id_ in (session.id, uuid4())] == ["ignored"] * 2
    assert world.rows("SELECT ended_at FROM after_hours_sessions") == [(ended.ended_at,)]
    late = phone.start().id
    world.pass_time(minutes=90)
    assert [world.fire(kind, late) for kind in ("warning", "expiry", "expiry")] == ["ignored", "expired", "ignored"]
    ended_at = "SELECT ended_at = expires_at, fuzzed_latitude FROM after_hours_sessions WHERE id = %s"
    assert world.rows(ended_at, str(late)) == [(True, None)]
    with pytest.raises(ValueError, match="sessionId"):
        world.fire("expiry", "not a uuid")


def test_each_change_asks_the_scheduler_so_often_and_no_more(phone: Phone, world: World, asked: list[str]) -> None:
    """AWS charges each call. An expiry needs none: a schedule that fires deletes itself."""

    def calls(change: Callable[[], object]) -> list[str]:
        asked.clear()
        change()
        for _ in range(2):  # the first may end a session, and the second deletes the schedules
            world.leases_run_out()
            world.sweep()
        return [method for method in asked if method != "GET"]  # the sweep's look at one schedule

    assert calls(phone.start) == ["POST", "POST"]
    assert calls(phone.extend) == ["PUT", "PUT"]
    assert calls(phone.end) == ["DELETE", "DELETE"]
    session = phone.start()
    world.pass_time(minutes=30)
    assert calls(lambda: world.fire("expiry", session.id)) == []
    phone.start()
    world.pass_time(minutes=30)
    assert calls(phone.start) == ["POST", "POST"]
    assert calls(lambda: world.rows("UPDATE users SET after_hours_consent = false")) == ["DELETE", "DELETE"]
    world.rows("UPDATE users SET after_hours_consent = true")
    phone.start()
    assert calls(lambda: world.rows(ENDED_BY_HAND)) == ["DELETE", "DELETE"]
    phone.start()
    assert calls(phone.leave) == ["DELETE", "DELETE"]


def test_the_lag_of_each_expiry_is_a_metric(world: World, output: Callable[[], str]) -> None:
    """In seconds, whether a schedule or the sweep ended the session."""
    world.rows(MEMBERS, 120, "-100 seconds")
    [(session,)] = world.rows("SELECT id::text FROM after_hours_sessions LIMIT 1")
    assert world.fire("expiry", session) == "expired"
    assert world.sweep()["expired"] == 119
    metrics = [json.loads(line) for line in output().splitlines() if "ExpiryLagSeconds" in line]
    assert all('{"Name": "ExpiryLagSeconds", "Unit": "Seconds"}' in json.dumps(each["_aws"]) for each in metrics)
    lags = [lag for each in metrics for lag in each["ExpiryLagSeconds"]]
    assert len(lags) == 120
    assert all(100 <= lag < 160 for lag in lags)


def test_schedules_that_are_gone_are_made_anew(phone: Phone, world: World, asked: list[str]) -> None:
    """First they are there. Then their group is missing, as after a deletion by hand. At last the scheduler is down."""
    Phone("other").create_profile()
    for each in (phone, Phone("other")):
        each.start()
    made = world.schedules()
    asked.clear()
    assert world.sweep()["schedulesLost"] == 0
    assert asked == ["GET"]
    world.scheduler.delete_schedule_group(Name=SCHEDULE_GROUP)
    asked.clear()
    swept = world.sweep()
    world.scheduler.create_schedule_group(Name=SCHEDULE_GROUP)
    assert (swept["schedulesLost"], swept["schedulesRepaired"]) == (2, 0)
    assert asked.count("GET") == 1
    assert world.rows("SELECT DISTINCT attempts FROM after_hours_outbox") == [(1,)]
    world.leases_run_out()
    swept = world.sweep()
    assert (swept["schedulesLost"], swept["schedulesRepaired"]) == (0, 2)
    assert world.schedules() == made
    with world.down("SCHEDULER"):
        assert world.sweep()["schedulesLost"] == 0


@pytest.mark.parametrize("change", ["expires_at = expires_at + interval '15 minutes'", None])
def test_one_lost_schedule_means_that_all_are_lost_unless_its_session_has_changed(
    world: World, asked: list[str], change: str | None
) -> None:
    world.rows(MEMBERS, 1100, "1 hour")
    world.rows("DELETE FROM after_hours_outbox")

    def look(request: AWSPreparedRequest, **_: object) -> None:
        if change:
            session_id = request.url.partition("/expire-")[2].partition("?")[0]
            world.rows(f"UPDATE after_hours_sessions SET {change} WHERE id = %s", session_id)

    clients.scheduler().meta.events.register("before-send.scheduler", look)
    with world.connection() as database:
        assert schedules.find_lost(database, soon()) == (0 if change else 1100)
        if change is None:
            assert schedules.find_lost(database, soon()) == 0
    assert asked == ["GET"]
    due = "SELECT count(*) FROM after_hours_outbox WHERE due_at <= now()"
    assert world.rows(due) == [(0 if change else 1100,)]
