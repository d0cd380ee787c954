"""Sessions never lie: live is what the database's clock says, whoever starts, extends, ends or expires them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from after_hours import sessions
from after_hours.errors import NoActiveSession, SessionAlreadyActive, TooManyStarts

from local import postgres
from tests.support.handlers import Answer
from tests.support.world import own_database

type Call = Callable[..., Answer]
type Rows = Callable[..., list[tuple[Any, ...]]]
type Scheduled = Callable[[], dict[str, str]]

PLACE = {"latitude": 52.520008, "longitude": 13.404954}
START = {"duration": 30, **PLACE}

pytestmark = pytest.mark.usefixtures("profile")


def start(call: Call, **changes: Any) -> dict[str, Any]:
    answer = call("start_session", body=START | changes)
    assert answer.status == 201, answer
    session: dict[str, Any] = answer.body["session"]
    return session


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def let_time_pass(rows: Rows, minutes: float) -> None:
    """As if the session had started so many minutes earlier."""
    rows(
        "UPDATE after_hours_sessions SET started_at = started_at - make_interval(secs => %s),"
        " expires_at = expires_at - make_interval(secs => %s),"
        " warned_for = warned_for - make_interval(secs => %s) WHERE ended_at IS NULL",
        minutes * 60,
        minutes * 60,
        minutes * 60,
    )


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_a_session_lasts_as_long_as_asked(call: Call, minutes: int) -> None:
    session = start(call, duration=minutes)
    assert moment(session["expiresAt"]) - moment(session["startedAt"]) == timedelta(minutes=minutes)
    assert session["durationMinutes"] == minutes
    assert minutes * 60 - 10 < session["remainingSeconds"] <= minutes * 60
    assert set(session) == {"id", "startedAt", "expiresAt", "durationMinutes", "remainingSeconds"}


def test_only_the_fuzzed_place_is_kept_and_only_while_live(call: Call, rows: Rows) -> None:
    start(call)
    ((latitude, longitude, seen_latitude, seen_longitude),) = rows(
        "SELECT latitude, longitude, fuzzed_latitude, fuzzed_longitude FROM after_hours_sessions"
    )
    assert (latitude, longitude) == (None, None)
    assert 0 < abs(float(seen_latitude) - PLACE["latitude"]) < 0.01
    assert abs(float(seen_longitude) - PLACE["longitude"]) < 0.01


def test_no_profile_no_session(call: Call, rows: Rows) -> None:
    rows("DELETE FROM after_hours_profiles")
    answer = call("start_session", body=START)
    assert (answer.status, answer.body["code"]) == (400, "PROFILE_REQUIRED")
    assert rows("SELECT count(*) FROM after_hours_sessions") == [(0,)]


def test_the_device_is_kept_when_the_app_sends_it(call: Call, rows: Rows) -> None:
    device = {"deviceId": "d-1", "deviceModel": "Phone 7", "platform": None}
    session = start(call, deviceFingerprint=device)
    stored = rows("SELECT user_id, session_id::text, device_id, device_model, platform FROM device_fingerprints")
    assert stored == [("local-entitled", session["id"], "d-1", "Phone 7", None)]


@pytest.mark.parametrize("device", [None, {}, {"deviceId": None}])
def test_no_device_no_fingerprint(call: Call, rows: Rows, device: Any) -> None:
    start(call, deviceFingerprint=device)
    assert rows("SELECT count(*) FROM device_fingerprints") == [(0,)]


def test_a_start_while_live_is_refused_with_the_live_session(call: Call) -> None:
    first = start(call)
    again = call("start_session", body=START | {"duration": 60})
    assert (again.status, again.body["code"]) == (409, "SESSION_ALREADY_ACTIVE")
    assert again.body["session"]["id"] == first["id"]
    assert again.body["session"]["expiresAt"] == first["expiresAt"]


def test_of_fifty_simultaneous_starts_exactly_one_succeeds(migrated: postgres.Database, rows: Rows) -> None:
    def attempt(_: int) -> str:
        database = own_database(migrated)
        try:
            return str(sessions.start(database, "local-entitled", sessions.StartSession.model_validate(START)).id)
        except SessionAlreadyActive as refusal:
            return f"refused: {refusal.details['session'].id}"
        finally:
            database.close()

    with ThreadPoolExecutor(50) as pool:
        outcomes = list(pool.map(attempt, range(50)))
    (started,) = [outcome for outcome in outcomes if not outcome.startswith("refused")]
    assert outcomes.count(f"refused: {started}") == 49
    assert rows("SELECT count(*) FROM after_hours_sessions") == [(1,)]


def test_simultaneous_starts_over_an_expired_session_close_it_once(
    call: Call, migrated: postgres.Database, rows: Rows
) -> None:
    start(call)
    let_time_pass(rows, minutes=31)

    def attempt(_: int) -> bool:
        database = own_database(migrated)
        try:
            sessions.start(database, "local-entitled", sessions.StartSession.model_validate(START))
        except SessionAlreadyActive:
            return False
        finally:
            database.close()
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(attempt, range(20))) == 1
    assert rows("SELECT count(*) FILTER (WHERE ended_at = expires_at), count(*) FROM after_hours_sessions") == [(1, 2)]


def test_twenty_parallel_extensions_add_up(call: Call, migrated: postgres.Database) -> None:
    before = start(call)

    def extend(_: int) -> None:
        database = own_database(migrated)
        sessions.extend(database, "local-entitled", sessions.ExtendSession.model_validate({"additionalMinutes": 15}))
        database.close()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(extend, range(20)))
    after = call("get_session").body["session"]
    assert moment(after["expiresAt"]) - moment(before["expiresAt"]) == timedelta(minutes=300)
    assert after["durationMinutes"] == 330


def test_starting_over_an_expired_session_closes_it_at_its_end(call: Call, rows: Rows) -> None:
    old = start(call)
    let_time_pass(rows, minutes=31)
    new = start(call)
    assert new["id"] != old["id"]
    ended = rows("SELECT ended_at = expires_at, latitude FROM after_hours_sessions WHERE id = %s", old["id"])
    assert ended == [(True, None)]


def test_a_start_that_is_refused_for_lack_of_a_profile_leaves_no_half(call: Call, rows: Rows) -> None:
    rows("DELETE FROM after_hours_profiles")
    call("start_session", body=START | {"deviceFingerprint": {"deviceId": "d"}})
    assert rows("SELECT (SELECT count(*) FROM after_hours_sessions) + (SELECT count(*) FROM device_fingerprints)") == [
        (0,)
    ]


def test_get_session_says_what_is_live(call: Call, rows: Rows) -> None:
    assert call("get_session").body == {"success": True, "active": False, "session": None}
    session = start(call)
    answer = call("get_session").body
    assert answer["active"] is True
    assert answer["session"]["id"] == session["id"]
    let_time_pass(rows, minutes=30)
    assert call("get_session").body == {"success": True, "active": False, "session": None}


@pytest.mark.parametrize(("function", "body"), [("end_session", None), ("extend_session", {"additionalMinutes": 15})])
def test_an_expired_session_can_be_neither_ended_nor_extended(call: Call, rows: Rows, function: str, body: Any) -> None:
    start(call)
    let_time_pass(rows, minutes=30)
    answer = call(function, body=body)
    assert (answer.status, answer.body["code"]) == (404, "NO_ACTIVE_SESSION")


def test_ending_erases_the_place_and_the_schedules(call: Call, rows: Rows, scheduled: Scheduled) -> None:
    session = start(call)
    answer = call("end_session")
    assert answer.status == 200
    ended = answer.body["session"]
    assert ended["id"] == session["id"]
    assert ended["remainingSeconds"] == 0
    assert moment(ended["endedAt"]) <= datetime.now(UTC)
    assert rows("SELECT latitude, longitude, fuzzed_latitude, fuzzed_longitude FROM after_hours_sessions") == [
        (None, None, None, None)
    ]
    assert scheduled() == {}
    assert call("end_session").body["code"] == "NO_ACTIVE_SESSION"


def test_extending_answers_with_what_was_added_and_moves_the_schedules(call: Call, scheduled: Scheduled) -> None:
    start(call, duration=15)
    answer = call("extend_session", body={"additionalMinutes": 60})
    session = answer.body["session"]
    assert answer.status == 200
    assert session["extendedByMinutes"] == 60
    assert session["durationMinutes"] == 75
    assert scheduled() == expected_schedules(session)


def expected_schedules(session: dict[str, Any]) -> dict[str, str]:
    end = moment(session["expiresAt"])
    end = end.replace(microsecond=0) + timedelta(seconds=end.microsecond > 0)
    return {
        f"expire-{session['id']}": f"at({end:%Y-%m-%dT%H:%M:%S})",
        f"warn-{session['id']}": f"at({end - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S})",
    }


def test_starting_schedules_the_end_and_a_warning_five_minutes_before(
    call: Call, scheduled: Scheduled, scheduler: Any
) -> None:
    session = start(call)
    assert scheduled() == expected_schedules(session)
    schedule = scheduler.get_schedule(Name=f"expire-{session['id']}", GroupName="after-hours")
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert schedule["Target"]["DeadLetterConfig"]["Arn"].endswith("dead-letters")


def test_extending_recreates_a_warning_that_already_fired(
    call: Call, rows: Rows, scheduled: Scheduled, run_job: Any, scheduler: Any
) -> None:
    session = start(call)
    let_time_pass(rows, minutes=26)
    assert fire(run_job, "warning", session["id"]) == "warned"
    scheduler.delete_schedule(Name=f"warn-{session['id']}", GroupName="after-hours")
    extended = call("extend_session", body={"additionalMinutes": 15}).body["session"]
    assert scheduled() == expected_schedules(extended)
    assert fire(run_job, "warning", session["id"]) == "rescheduled"
    let_time_pass(rows, minutes=15)
    assert fire(run_job, "warning", session["id"]) == "warned"


# Limits


def test_a_member_starts_twelve_times_an_hour(call: Call, rows: Rows) -> None:
    for _ in range(12):
        start(call)
        live = call("start_session", body=START)
        assert live.body["code"] == "SESSION_ALREADY_ACTIVE"  # which one may know however often one has started
        call("end_session")
    refused = call("start_session", body=START)
    assert (refused.status, refused.body["code"]) == (429, "TOO_MANY_STARTS")
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    rows("UPDATE after_hours_sessions SET started_at = started_at - interval '59 minutes 50 seconds'")
    assert 0 < int(call("start_session", body=START).headers["retry-after"]) <= 10
    rows(
        "UPDATE after_hours_sessions SET started_at = started_at - interval '10 seconds'"
        " WHERE id = (SELECT id FROM after_hours_sessions ORDER BY started_at LIMIT 1)"
    )
    start(call)


def test_simultaneous_starts_and_ends_pass_no_limit(migrated: postgres.Database, rows: Rows) -> None:
    def start_and_end(_: int) -> int:
        database = own_database(migrated)
        started = 0
        for _ in range(6):
            with suppress(SessionAlreadyActive, TooManyStarts, NoActiveSession):
                sessions.start(database, "local-entitled", sessions.StartSession.model_validate(START))
                started += 1
                sessions.end(database, "local-entitled")
        database.close()
        return started

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(start_and_end, range(6))) <= 12
    assert rows("SELECT count(*) FROM after_hours_sessions")[0][0] <= 12


def test_no_session_ends_more_than_six_hours_from_now(call: Call) -> None:
    session = start(call, duration=60)
    for _ in range(5):
        extended = call("extend_session", body={"additionalMinutes": 60})
        assert extended.status == 200
    refused = call("extend_session", body={"additionalMinutes": 15})
    assert (refused.status, refused.body["code"]) == (409, "SESSION_TOO_LONG")
    assert refused.body["session"]["expiresAt"] == extended.body["session"]["expiresAt"]
    assert moment(refused.body["session"]["expiresAt"]) == moment(session["expiresAt"]) + timedelta(hours=5)


def test_an_extension_repeated_after_a_lost_answer_extends_once(call: Call) -> None:
    session = start(call)
    body = {"additionalMinutes": 15, "expiresAt": session["expiresAt"]}
    first = call("extend_session", body=body)
    again = call("extend_session", body=body)
    assert (first.status, again.status, again.body["code"]) == (200, 409, "SESSION_CHANGED")
    assert again.body["session"]["expiresAt"] == first.body["session"]["expiresAt"]


@pytest.mark.parametrize(
    "written",
    [
        lambda end: end.isoformat(),
        lambda end: end.isoformat(timespec="milliseconds"),
        lambda end: end.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(),
        lambda end: end.astimezone(timezone(-timedelta(hours=11))).isoformat(timespec="milliseconds"),
        lambda end: end.astimezone(timezone(timedelta(hours=23, minutes=59))).isoformat(),
        lambda _: None,
    ],
)
def test_the_end_that_was_seen_may_be_written_in_any_offset_to_the_millisecond(
    call: Call, written: Callable[[datetime], str | None]
) -> None:
    session = start(call)
    body = {"additionalMinutes": 15, "expiresAt": written(moment(session["expiresAt"]))}
    assert call("extend_session", body=body).status == 200


@pytest.mark.parametrize("by", [timedelta(milliseconds=2), timedelta(days=-1), timedelta(hours=1)])
def test_another_end_than_was_seen_changes_nothing(call: Call, by: timedelta) -> None:
    session = start(call)
    seen = (moment(session["expiresAt"]) + by).isoformat()
    answer = call("extend_session", body={"additionalMinutes": 15, "expiresAt": seen})
    assert (answer.status, answer.body["code"]) == (409, "SESSION_CHANGED")
    assert answer.body["session"]["expiresAt"] == session["expiresAt"]


@pytest.mark.parametrize(
    "seen",
    [
        "2026-11-24T18:00:00",
        "soon",
        1795557600,
        1.5,
        True,
        [],
        "2026-11-24",
        "",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_an_end_that_is_no_time_with_an_offset_is_refused(call: Call, seen: Any) -> None:
    start(call)
    answer = call("extend_session", body={"additionalMinutes": 15, "expiresAt": seen})
    assert (answer.status, answer.body["errors"][0]["field"]) == (400, "expiresAt")


@pytest.mark.parametrize("who", ["noPremium", "unverified", "noConsent"])
def test_ending_needs_no_entitlement(call: Call, rows: Rows, people: Any, who: str) -> None:
    rows(
        "INSERT INTO after_hours_sessions (user_id, expires_at) VALUES (%s, now() + interval '1 hour')", people[who].id
    )
    assert call("end_session", who=who).status == 200


# What the one-shot schedules send


def fire(run_job: Any, kind: str, session_id: str) -> str:
    outcome: str = run_job("expire_session", {"kind": kind, "sessionId": session_id})["outcome"]
    return outcome


def test_an_expiry_in_time_ends_the_session_at_its_planned_end(call: Call, rows: Rows, run_job: Any) -> None:
    session = start(call)
    let_time_pass(rows, minutes=30)
    assert fire(run_job, "expiry", session["id"]) == "expired"
    assert rows("SELECT ended_at = expires_at, latitude, fuzzed_latitude FROM after_hours_sessions") == [
        (True, None, None)
    ]


def test_an_early_expiry_ends_nothing_and_is_scheduled_again(
    call: Call, run_job: Any, scheduled: Scheduled, scheduler: Any
) -> None:
    session = start(call)
    scheduler.delete_schedule(Name=f"expire-{session['id']}", GroupName="after-hours")  # it fired, and deleted itself
    assert fire(run_job, "expiry", session["id"]) == "rescheduled"
    assert call("get_session").body["active"] is True
    assert scheduled() == expected_schedules(session)


def test_an_expiry_for_an_extended_session_is_scheduled_again(
    call: Call, rows: Rows, run_job: Any, scheduled: Scheduled
) -> None:
    session = start(call)
    let_time_pass(rows, minutes=29)
    extended = call("extend_session", body={"additionalMinutes": 15}).body["session"]
    assert fire(run_job, "expiry", session["id"]) == "rescheduled"
    assert scheduled() == expected_schedules(extended)


def test_a_late_or_doubled_expiry_changes_nothing_more(call: Call, rows: Rows, run_job: Any) -> None:
    session = start(call)
    let_time_pass(rows, minutes=90)
    assert [fire(run_job, "expiry", session["id"]) for _ in range(3)] == ["expired", "ignored", "ignored"]
    assert rows("SELECT ended_at = expires_at FROM after_hours_sessions") == [(True,)]


def test_an_expiry_of_a_session_the_member_ended_leaves_its_end(call: Call, rows: Rows, run_job: Any) -> None:
    session = start(call)
    call("end_session")
    before = rows("SELECT ended_at FROM after_hours_sessions")
    assert fire(run_job, "expiry", session["id"]) == "ignored"
    assert rows("SELECT ended_at FROM after_hours_sessions") == before


@pytest.mark.parametrize("kind", ["expiry", "warning"])
def test_events_for_unknown_sessions_are_ignored(run_job: Any, kind: str) -> None:
    assert fire(run_job, kind, str(uuid4())) == "ignored"


def test_a_member_is_warned_once(call: Call, rows: Rows, run_job: Any) -> None:
    session = start(call)
    let_time_pass(rows, minutes=25)
    assert [fire(run_job, "warning", session["id"]) for _ in range(2)] == ["warned", "ignored"]


def test_an_early_warning_is_scheduled_again(call: Call, run_job: Any, scheduled: Scheduled) -> None:
    session = start(call)
    assert fire(run_job, "warning", session["id"]) == "rescheduled"
    assert scheduled() == expected_schedules(session)


def test_an_event_nobody_should_send_fails_the_invocation(run_job: Any) -> None:
    with pytest.raises(ValueError, match="sessionId"):
        run_job("expire_session", {"kind": "expiry", "sessionId": "not a uuid"})
