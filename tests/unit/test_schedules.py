"""Schedules: never before their time, and exactly those that live sessions need."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from after_hours import schedules
from after_hours.schedules import Kind, Schedule
from hypothesis import given
from hypothesis import strategies as st

moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (as it wants)
some_schedules = st.builds(Schedule, st.sampled_from(Kind), st.uuids(version=4), moments)


@given(st.uuids(), moments)
def test_an_expiry_fires_at_the_first_whole_second_that_is_not_early(session_id: UUID, expires_at: datetime) -> None:
    expression = schedules.expiry(session_id, expires_at).expression
    assert re.fullmatch(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)", expression)
    fires_at = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=UTC)
    assert timedelta(0) <= fires_at - expires_at < timedelta(seconds=1)


@given(st.uuids(), moments)
def test_the_warning_comes_five_minutes_before_the_end(session_id: UUID, expires_at: datetime) -> None:
    assert expires_at - schedules.warning(session_id, expires_at).at == timedelta(minutes=5)


def test_times_in_other_zones_are_written_in_utc() -> None:
    east = datetime.fromisoformat("2026-11-24T23:30:00+05:30")
    assert schedules.expiry(UUID(int=1), east).expression == "at(2026-11-24T18:00:00)"


@given(st.lists(some_schedules), st.sets(st.text("abc", min_size=1)), st.data())
def test_reconciling_makes_what_exists_what_is_wanted(
    wanted: list[Schedule], strangers: set[str], data: st.DataObject
) -> None:
    names = {schedule.name for schedule in wanted}
    existing = strangers | data.draw(st.sets(st.sampled_from(sorted(names)))) if names else set(strangers)
    group = set(existing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedules, "put", lambda schedule: group.add(schedule.name))
        patch.setattr(schedules, "delete", group.remove)
        repair = schedules.reconcile(existing, wanted)
    assert group == names
    assert repair["deleted"] == len(existing - names)
