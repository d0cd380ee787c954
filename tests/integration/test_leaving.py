"""Leaving is as easy as joining: everything of the member goes, and who lost the right to stay is shown out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from after_hours import leaving, sessions, storage
from after_hours.errors import ProfileRequired, StorageUnavailable

from local import postgres
from tests.support.environment import R2_BUCKET
from tests.support.handlers import Answer
from tests.support.world import leases_over, own_database

type Call = Callable[..., Answer]
type Rows = Callable[..., list[tuple[Any, ...]]]
type Keys = Callable[[str], set[str]]

START = {"duration": 30, "latitude": 52.5, "longitude": 13.4, "deviceFingerprint": {"deviceId": "d"}}
PHOTO = "after-hours-photos/local-entitled/1.jpg"
THUMBNAIL = "after-hours-photos/local-entitled/1_thumb.jpg"
OURS = (
    "after_hours_profiles",
    "after_hours_preferences",
    "after_hours_sessions",
    "device_fingerprints",
    "after_hours_photo_uploads",
    "after_hours_removals",
    "after_hours_domain_events",
)


def an_hour_later(rows: Rows) -> None:
    rows("UPDATE after_hours_departures SET forget_at = forget_at - interval '1 hour'")
    rows(
        "UPDATE after_hours_sessions SET started_at = started_at - interval '1 hour',"
        " ended_at = ended_at - interval '1 hour' WHERE ended_at IS NOT NULL"
    )


def join(call: Call) -> None:
    assert call("create_profile", body={"description": "x"}).status == 201
    assert call("create_preferences", body={}).status == 201
    assert call("start_session", body=START).status == 201


def left_of_the_member(rows: Rows) -> list[str]:
    return [table for table in OURS if rows(f"SELECT 1 FROM {table}")]


@pytest.fixture
def with_photo(call: Call, rows: Rows, s3: Any, keys: Keys) -> None:
    join(call)
    rows("UPDATE after_hours_profiles SET photo_url = %s", PHOTO)
    for key in (PHOTO, THUMBNAIL):
        s3.put_object(Bucket=R2_BUCKET, Key=key, Body=b"jpeg")


@pytest.mark.usefixtures("with_photo")
def test_after_leaving_no_row_no_schedule_and_no_object_remains(
    call: Call, rows: Rows, scheduled: Callable[[], dict[str, str]], keys: Keys, run_job: Any
) -> None:
    assert len(scheduled()) == 2
    assert keys(R2_BUCKET) == {PHOTO, THUMBNAIL}
    answer = call("delete_profile")
    assert (answer.status, answer.body) == (204, None)
    assert left_of_the_member(rows) == ["after_hours_sessions"]
    assert scheduled() == {}
    assert keys(R2_BUCKET) == set()
    an_hour_later(rows)
    assert run_job("sweep")["departedForgotten"] == 1
    assert left_of_the_member(rows) == []


def test_one_can_leave_and_join_again(call: Call) -> None:
    for _ in range(2):
        join(call)
        assert call("delete_profile").status == 204
        assert call("get_profile").status == 404
        assert call("get_preferences").status == 404
        assert call("get_session").body["active"] is False


def test_nobody_leaves_twice(call: Call) -> None:
    answer = call("delete_profile")
    assert (answer.status, answer.body["code"]) == (404, "PROFILE_NOT_FOUND")


def test_another_member_stays(call: Call, rows: Rows) -> None:
    join(call)
    assert call("create_profile", who="other", body={}).status == 201
    assert call("create_preferences", who="other", body={}).status == 201
    assert call("start_session", who="other", body=START).status == 201
    call("delete_profile")
    for table in OURS[:4]:
        condition = "WHERE ended_at IS NULL" if table == "after_hours_sessions" else ""
        assert rows(f"SELECT user_id FROM {table} {condition}") == [("local-other",)]


@pytest.mark.parametrize("who", ["noPremium", "unverified", "noConsent"])
def test_leaving_needs_no_entitlement(call: Call, rows: Rows, people: Any, who: str) -> None:
    rows("INSERT INTO after_hours_profiles (user_id) VALUES (%s)", people[who].id)
    assert call("delete_profile", who=who).status == 204
    assert left_of_the_member(rows) == []


@pytest.mark.usefixtures("with_photo")
def test_what_storage_does_not_remove_now_the_sweep_removes(
    call: Call, rows: Rows, run_job: Any, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise StorageUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(storage.Bucket, "delete", down)
        assert call("delete_profile").status == 204
        leases_over(rows)
        assert run_job("sweep")["photosDeleted"] == 0
    assert keys(R2_BUCKET) == {PHOTO, THUMBNAIL}
    assert left_of_the_member(rows) == ["after_hours_sessions", "after_hours_removals"]
    leases_over(rows)
    assert run_job("sweep")["photosDeleted"] == 2
    assert keys(R2_BUCKET) == set()
    assert left_of_the_member(rows) == ["after_hours_sessions"]


@pytest.mark.usefixtures("with_photo")
def test_a_crash_after_the_transaction_leaves_nothing_behind(
    rows: Rows, run_job: Any, keys: Keys, migrated: postgres.Database, scheduled: Callable[[], dict[str, str]]
) -> None:
    database = own_database(migrated)
    database.fetch_one(leaving._LEAVE, {"user_id": "local-entitled"})  # and then the function dies
    database.close()
    leases_over(rows)
    run_job("sweep")
    assert keys(R2_BUCKET) == set()
    assert scheduled() == {}
    assert left_of_the_member(rows) == ["after_hours_sessions"]


def test_a_start_and_a_leaving_at_once_leave_no_session_without_a_profile(
    people: Any, migrated: postgres.Database, rows: Rows
) -> None:
    def start() -> None:
        database = own_database(migrated)
        with suppress(ProfileRequired):
            sessions.start(database, "local-entitled", sessions.StartSession.model_validate(START))
        database.close()

    def leave() -> None:
        database = own_database(migrated)
        leaving.leave(database, "local-entitled")
        database.close()

    for _ in range(15):
        rows("INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled')")
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(start), pool.submit(leave)]
            for future in futures:
                future.result()
        assert rows("SELECT FROM after_hours_profiles") == []
        assert rows("SELECT FROM after_hours_sessions WHERE ended_at IS NULL OR fuzzed_latitude IS NOT NULL") == []
        rows("DELETE FROM after_hours_sessions")  # twelve starts an hour are a limit


LAPSES = {
    "subscription ended": "UPDATE user_subscriptions SET expires_at = now()",
    "subscription cancelled": "UPDATE user_subscriptions SET is_active = false",
    "no subscription": "DELETE FROM user_subscriptions",
    "verification withdrawn": "UPDATE users SET id_verified = false",
    "consent withdrawn": "UPDATE users SET after_hours_consent = false",
}


@pytest.mark.parametrize("lapse", LAPSES.values(), ids=LAPSES)
def test_the_sweep_ends_the_session_of_who_lost_the_right_to_it(
    call: Call, rows: Rows, run_job: Any, lapse: str, scheduled: Callable[[], dict[str, str]]
) -> None:
    join(call)
    assert run_job("sweep")["lapsed"] == 0
    rows(lapse)
    assert run_job("sweep")["lapsed"] == 1
    assert rows(
        "SELECT ended_at <= now() AND ended_at < expires_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude"
        " FROM after_hours_sessions"
    ) == [(True, None, None, None, None)]
    assert scheduled() == {}
    assert run_job("sweep")["lapsed"] == 0
