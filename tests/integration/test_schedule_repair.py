"""Schedules that are wrong, missing or gone, which the sweep repairs."""

from datetime import datetime
from uuid import UUID

import pytest
from after_hours.foundation import clients
from after_hours.foundation.faults import SchedulerUnavailable
from after_hours.members.sessions import Session
from after_hours.outbox import schedules

from tests.support.phone import Phone
from tests.support.world import MEMBERS, SCHEDULE_GROUP, World, schedules_of, soon


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[schedules.Change]:
    """The calls to a scheduler that refuses a time beyond the year 3000."""
    calls: list[schedules.Change] = []

    def carry_out(change: schedules.Change) -> tuple[()]:
        calls.append(change)
        if change.at and change.at.year > 3000:
            raise SchedulerUnavailable("ValidationException")
        return ()

    monkeypatch.setattr(schedules, "carry_out", carry_out)
    return calls


@pytest.fixture
def asked(environment: None) -> list[str]:
    """The methods of the requests to the scheduler."""
    clients.start_anew()
    methods: list[str] = []
    clients.scheduler().meta.events.register(
        "before-send.scheduler", lambda request, **_: methods.append(request.method)
    )
    return methods


@pytest.mark.usefixtures("profile")
def test_members_are_served_without_the_scheduler_and_the_sweep_repairs(phone: Phone, world: World) -> None:
    with world.down("SCHEDULER"):
        phone.start()
        extended = phone.extend()
        world.leases_run_out()
        assert world.sweep()["schedulesRepaired"] == 0
        assert world.rows("SELECT kind, attempts, due_at > now() FROM after_hours_outbox WHERE kind <> 'event'") == [
            ("schedules", 1, True)
        ]
    assert world.schedules() == {}
    world.leases_run_out()
    assert [world.sweep()["schedulesRepaired"] for _ in range(2)] == [1, 0]
    assert world.schedules() == schedules_of(extended)
    with world.down("SCHEDULER"):
        phone.end()
    assert world.schedules() == schedules_of(extended)
    world.leases_run_out()
    assert world.sweep()["schedulesRepaired"] == 1
    assert world.schedules() == {}
    assert world.counts("after_hours_outbox") == [0]


def two_live() -> list[Session]:
    Phone("other").create_profile()
    return [phone.start() for phone in (Phone(), Phone("other"))]


@pytest.mark.usefixtures("profile")
def test_schedules_that_are_right_cost_the_sweep_one_look(world: World, asked: list[str]) -> None:
    two_live()
    world.leases_run_out()
    asked.clear()
    assert world.sweep()["schedulesLost"] == 0
    assert asked == ["GET"]


@pytest.mark.usefixtures("profile")
def test_schedules_that_are_gone_are_made_anew(world: World, asked: list[str]) -> None:
    """First their group is missing, as after a deletion by hand; then it is empty, as on a new local AWS."""
    sessions = two_live()
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
    assert world.schedules() == schedules_of(sessions[0]) | schedules_of(sessions[1])


@pytest.mark.usefixtures("profile")
def test_a_session_that_changes_while_its_schedule_is_looked_at_has_lost_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_live()
    changes = iter(
        (
            "expires_at = expires_at + interval '15 minutes'",
            "ended_at = now(), fuzzed_latitude = NULL, fuzzed_longitude = NULL",
        )
    )

    def is_there(schedule: str) -> bool:
        world.rows(f"UPDATE after_hours_sessions SET {next(changes)} WHERE id = %s", schedule.removeprefix("expire-"))
        return False

    monkeypatch.setattr(schedules, "_is_there", is_there)
    with world.connection() as database:
        assert [schedules.find_lost(database, soon()) for _ in range(2)] == [0, 0]
    assert next(changes, None) is None


@pytest.mark.usefixtures("profile")
def test_no_schedule_is_looked_at_that_may_have_fired_and_none_is_lost_to_silence(
    phone: Phone, world: World, asked: list[str]
) -> None:
    phone.start()
    with world.down("SCHEDULER"):
        assert world.sweep()["schedulesLost"] == 0
    schedules.breaker.close()
    world.pass_time(minutes=29, seconds=1)
    asked.clear()
    assert world.sweep()["schedulesLost"] == 0
    assert asked == []


def test_schedules_that_are_gone_are_made_anew_for_all_who_are_live(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rows(MEMBERS, 1100, "1 hour")
    world.rows("DELETE FROM after_hours_outbox")
    looks: list[str] = []

    def is_there(schedule: str) -> bool:
        looks.append(schedule)
        return False

    monkeypatch.setattr(schedules, "_is_there", is_there)
    with world.connection() as database:
        assert schedules.find_lost(database, soon()) == 1100
        assert schedules.find_lost(database, soon()) == 0
    assert len(looks) == 1
    assert world.rows("SELECT count(*) FROM after_hours_outbox WHERE due_at <= now()") == [(1100,)]


def test_schedules_that_were_never_made_cost_one_call_each(world: World, asked: list[str]) -> None:
    world.rows(MEMBERS, 3, "1 hour")
    world.leases_run_out()
    assert world.sweep()["schedulesRepaired"] == 3
    assert asked == ["POST"] * 6
    assert len(world.schedules()) == 6


@pytest.mark.usefixtures("profile")
def test_schedules_that_were_made_and_not_recorded_are_moved(phone: Phone, world: World, asked: list[str]) -> None:
    phone.start()
    world.rows("UPDATE after_hours_sessions SET expires_at = expires_at + interval '15 minutes'")
    world.leases_run_out()
    asked.clear()
    assert world.sweep()["schedulesRepaired"] == 1
    assert asked == ["PUT", "PUT"]
    [(expiry,)] = world.rows("SELECT after_hours_schedule_time(expires_at) FROM after_hours_sessions")
    assert f"at({expiry})" in world.schedules().values()


def test_a_schedule_with_an_absurd_time_keeps_no_other_waiting(world: World, made: list[schedules.Change]) -> None:
    world.rows(MEMBERS, 30, "1 hour")
    world.rows(
        "UPDATE after_hours_sessions SET expires_at = CASE user_id"
        " WHEN 'many-1' THEN 'infinity' WHEN 'many-2' THEN timestamptz '294276-12-31 23:59:59' ELSE expires_at END"
    )
    world.leases_run_out()
    assert world.sweep()["schedulesRepaired"] == 28
    assert world.rows(
        "SELECT user_id FROM after_hours_outbox JOIN after_hours_sessions ON key = id::text ORDER BY 1"
    ) == [("many-1",), ("many-2",)]


@pytest.mark.usefixtures("environment")
def test_a_schedule_fires_at_the_first_whole_second_that_is_not_early() -> None:
    for moment, written in {
        "2026-11-24T18:00:00Z": "at(2026-11-24T18:00:00)",
        "2026-11-24T18:00:00.000001Z": "at(2026-11-24T18:00:01)",
        "2026-11-24T18:00:00.999999Z": "at(2026-11-24T18:00:01)",
        "2026-11-24T23:30:00+05:30": "at(2026-11-24T18:00:00)",
    }.items():
        change = schedules.Change(str(UUID(int=1)), schedules.ScheduleKind.EXPIRY, datetime.fromisoformat(moment))
        assert schedules._schedule(change, datetime.fromisoformat(moment))["ScheduleExpression"] == written
