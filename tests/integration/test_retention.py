"""What is forgotten, and when; and that nothing goes which the main app's tables hang on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from after_hours import leaving

from local import postgres
from tests.support.handlers import Answer
from tests.support.world import own_database

type Call = Callable[..., Answer]
type Rows = Callable[..., list[tuple[Any, ...]]]

START = {"duration": 30, "latitude": 52.5, "longitude": 13.4, "deviceFingerprint": {"deviceId": "d"}}

# As the main app has them: all hang on sessions by ON DELETE CASCADE, messages on matches.
MAIN_APP = """
    CREATE TABLE after_hours_matches (
        id SERIAL PRIMARY KEY, session_id UUID NOT NULL REFERENCES after_hours_sessions (id) ON DELETE CASCADE
    );
    CREATE INDEX ON after_hours_matches (session_id);
    CREATE TABLE after_hours_messages (
        id SERIAL PRIMARY KEY, match_id INTEGER NOT NULL REFERENCES after_hours_matches (id) ON DELETE CASCADE
    );
    CREATE TABLE after_hours_declines (
        id SERIAL PRIMARY KEY, session_id UUID NOT NULL REFERENCES after_hours_sessions (id) ON DELETE CASCADE
    );
"""
DROP = "DROP TABLE IF EXISTS after_hours_messages, after_hours_matches, after_hours_declines"


@pytest.fixture
def main_app(rows: Rows) -> Iterator[None]:
    rows(DROP)
    rows(MAIN_APP)
    yield
    rows(DROP)


def match(rows: Rows) -> None:
    rows("INSERT INTO after_hours_matches (session_id) SELECT id FROM after_hours_sessions")
    rows("INSERT INTO after_hours_messages (match_id) SELECT id FROM after_hours_matches")


def counts(rows: Rows, *tables: str) -> list[int]:
    return [rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]


def age(rows: Rows, interval: str) -> None:
    """As if everything had been so much earlier."""
    rows("UPDATE after_hours_departures SET forget_at = forget_at - %s::interval", interval)
    rows("UPDATE device_fingerprints SET created_at = created_at - %s::interval", interval)
    rows("UPDATE after_hours_photo_uploads SET requested_at = requested_at - %s::interval", interval)
    rows(
        "UPDATE after_hours_sessions SET started_at = started_at - %s::interval, ended_at = ended_at - %s::interval,"
        " last_referenced_at = last_referenced_at - %s::interval WHERE ended_at IS NOT NULL",
        interval,
        interval,
        interval,
    )


@pytest.fixture
def ended(call: Call, profile: None) -> None:
    assert call("start_session", body=START).status == 201
    assert call("end_session").status == 200


@pytest.mark.usefixtures("main_app", "ended")
def test_a_match_and_its_messages_outlive_the_leaving_of_a_member(call: Call, rows: Rows, run_job: Any) -> None:
    match(rows)
    rows("INSERT INTO after_hours_declines (session_id) SELECT id FROM after_hours_sessions")
    assert call("delete_profile").status == 204
    for interval in ("1 hour", "90 days", "90 days"):
        age(rows, interval)
        run_job("sweep")
        assert counts(rows, "after_hours_sessions", "after_hours_matches", "after_hours_messages") == [1, 1, 1]
    assert counts(rows, "device_fingerprints", "after_hours_departures") == [0, 0]
    rows("DELETE FROM after_hours_matches")
    age(rows, "90 days")
    assert run_job("sweep")["sessionsForgotten"] == 1
    assert counts(rows, "after_hours_sessions", "after_hours_declines") == [0, 0]


@pytest.mark.usefixtures("main_app", "ended")
def test_ended_sessions_go_after_90_days_and_no_earlier(rows: Rows, run_job: Any) -> None:
    age(rows, "89 days 23 hours")
    assert run_job("sweep")["sessionsForgotten"] == 0
    age(rows, "1 hour")
    assert run_job("sweep")["sessionsForgotten"] == 1
    assert counts(rows, "after_hours_sessions", "device_fingerprints") == [0, 0]


@pytest.mark.usefixtures("main_app", "ended")
def test_the_device_of_a_session_that_is_kept_goes_after_180_days(rows: Rows, run_job: Any) -> None:
    match(rows)
    age(rows, "90 days")
    run_job("sweep")
    assert counts(rows, "after_hours_sessions", "device_fingerprints") == [1, 1]
    age(rows, "91 days")
    run_job("sweep")
    assert counts(rows, "after_hours_sessions", "device_fingerprints") == [1, 0]


@pytest.mark.usefixtures("main_app", "profile")
def test_sessions_that_are_kept_keep_no_others(rows: Rows, run_job: Any) -> None:
    rows(
        "INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)"
        " SELECT 'local-entitled', t, t, t FROM generate_series(1, 1200) n, LATERAL (SELECT now() - interval '91 days'"
        " - n * interval '1 minute' AS t) AS times"
    )
    rows(
        "INSERT INTO after_hours_matches (session_id) SELECT id FROM after_hours_sessions ORDER BY ended_at LIMIT 1000"
    )
    assert run_job("sweep")["sessionsForgotten"] == 200
    assert run_job("sweep")["sessionsForgotten"] == 0
    assert counts(rows, "after_hours_sessions", "after_hours_matches") == [1000, 1000]


@pytest.mark.usefixtures("main_app", "ended")
def test_a_reference_that_may_not_be_looked_at_holds_the_session(rows: Rows, run_job: Any, migrated: Any) -> None:
    match(rows)
    age(rows, "90 days")
    rows("DROP ROLE IF EXISTS blind; CREATE ROLE blind; GRANT ALL ON ALL TABLES IN SCHEMA public TO blind")
    rows("REVOKE ALL ON after_hours_matches FROM blind")
    try:
        rows("SET ROLE blind")
        assert len(rows("SELECT after_hours_referenced_sessions(array_agg(id)) FROM after_hours_sessions")) == 1
    finally:
        rows("RESET ROLE; DROP OWNED BY blind; DROP ROLE blind")


@pytest.mark.usefixtures("ended")
def test_leaving_does_not_start_the_hourly_limits_anew(call: Call, rows: Rows) -> None:
    for _ in range(11):
        assert call("start_session", body=START).status == 201
        assert call("end_session").status == 200
    assert call("delete_profile").status == 204
    assert call("create_profile", body={}).status == 201
    refused = call("start_session", body=START)
    assert (refused.status, refused.body["code"]) == (429, "TOO_MANY_STARTS")
    assert 3500 < int(refused.headers["retry-after"]) <= 3600


@pytest.mark.usefixtures("ended")
def test_who_comes_back_within_the_hour_keeps_what_is_there(call: Call, rows: Rows, run_job: Any) -> None:
    call("delete_profile")
    call("create_profile", body={})
    age(rows, "1 hour")
    run_job("sweep")
    assert counts(rows, "after_hours_sessions", "after_hours_departures") == [1, 0]


def test_who_left_without_ever_having_been_live_leaves_nothing(call: Call, rows: Rows, run_job: Any) -> None:
    call("create_profile", body={})
    call("request_photo_upload")
    call("delete_profile")
    assert counts(rows, "after_hours_photo_uploads", "after_hours_departures") == [1, 1]
    age(rows, "1 hour")
    run_job("sweep")
    assert counts(rows, "after_hours_photo_uploads", "after_hours_departures") == [0, 0]


def test_preferences_without_a_profile_can_be_left(call: Call, rows: Rows) -> None:
    assert call("create_preferences", body={}).status == 201
    assert call("delete_profile").status == 204
    assert counts(rows, "after_hours_preferences") == [0]
    assert call("delete_profile").status == 404


def test_leaving_sees_what_another_phone_is_creating(people: Any, migrated: postgres.Database, rows: Rows) -> None:
    """Whoever comes first, the other one waits: preferences that leaving has answered for are gone."""

    def leave() -> None:
        database = own_database(migrated)
        leaving.leave(database, "local-entitled")
        database.close()

    for _ in range(12):
        rows("INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled')")
        somebody = migrated.connect()  # another phone's statement has the lock, and has not committed
        with somebody.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('after hours local-entitled', 0))")
            cursor.execute("INSERT INTO after_hours_preferences (user_id) VALUES ('local-entitled')")
            with ThreadPoolExecutor(1) as pool:
                left = pool.submit(leave)
                waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                while not rows(waits) and not left.done():
                    pass
                somebody.commit()
                left.result()
        somebody.close()
        assert counts(rows, "after_hours_preferences", "after_hours_profiles") == [0, 0]


@pytest.mark.usefixtures("profile")
def test_an_account_that_the_main_app_deletes_is_told(call: Call, rows: Rows) -> None:
    call("start_session", body=START)
    rows("DELETE FROM users WHERE id = 'local-entitled'")
    assert rows("SELECT type, detail ->> 'reason', due_at <= now() FROM after_hours_domain_events") == [
        ("SessionEnded", "account_deleted", True)
    ]


@pytest.mark.usefixtures("profile")
def test_an_account_deleted_after_the_end_of_its_session_tells_that_it_expired(call: Call, rows: Rows) -> None:
    call("start_session", body=START)
    rows("UPDATE after_hours_sessions SET expires_at = now() - interval '1 second'")
    rows("DELETE FROM users WHERE id = 'local-entitled'")
    assert rows("SELECT detail ->> 'reason' FROM after_hours_domain_events") == [("expired",)]


@pytest.mark.usefixtures("ended")
def test_an_account_whose_session_has_ended_tells_nothing_more(rows: Rows) -> None:
    rows("DELETE FROM users WHERE id = 'local-entitled'")
    assert rows("SELECT * FROM after_hours_domain_events") == []


@pytest.mark.usefixtures("profile")
def test_the_main_app_s_role_needs_no_right_to_our_tables_to_delete_an_account(call: Call, rows: Rows) -> None:
    call("start_session", body=START)
    rows("DROP ROLE IF EXISTS main_app; CREATE ROLE main_app; GRANT SELECT, DELETE ON users TO main_app")
    try:
        rows("SET ROLE main_app; SET search_path = pg_catalog; DELETE FROM public.users WHERE id = 'local-entitled'")
        rows("RESET ROLE; RESET search_path")
        assert counts(rows, "after_hours_sessions", "after_hours_domain_events") == [0, 1]
    finally:
        rows("RESET ROLE; RESET search_path; DROP OWNED BY main_app; DROP ROLE main_app")
