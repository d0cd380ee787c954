"""Leaving is as easy as joining: everything of the member goes. A member who may not stay is shown out."""

from contextlib import suppress

import pytest
from after_hours.entrypoints.errors import ProfileRequired
from after_hours.foundation import storage
from after_hours.foundation.database import Database
from after_hours.foundation.faults import StorageUnavailable
from after_hours.members import leaving, sessions

from tests.support.phone import START, Phone
from tests.support.world import World

PHOTO = "after-hours-photos/local-entitled/1.jpg"
THUMBNAIL = "after-hours-photos/local-entitled/1_thumb.jpg"
OURS = (
    "after_hours_profiles",
    "after_hours_preferences",
    "after_hours_sessions",
    "device_fingerprints",
    "after_hours_photo_uploads",
    "after_hours_outbox",
)


def join(phone: Phone) -> None:
    phone.create_profile(description="x")
    phone.create_preferences()
    phone.start()


def left_of_the_member(world: World) -> list[str]:
    return [table for table in OURS if world.rows(f"SELECT 1 FROM {table}")]


@pytest.fixture
def with_photo(phone: Phone, world: World, empty_stores: None) -> None:
    join(phone)
    world.rows("UPDATE after_hours_profiles SET photo_url = %s", PHOTO)
    for key in (PHOTO, THUMBNAIL):
        world.put_photo(key)


@pytest.mark.usefixtures("with_photo")
def test_after_leaving_no_row_no_schedule_and_no_object_remains(phone: Phone, world: World) -> None:
    assert len(world.schedules()) == 2
    assert world.photos() == {PHOTO, THUMBNAIL}
    answer = phone.call("delete_profile")
    assert (answer.status, answer.body) == (204, None)
    assert left_of_the_member(world) == ["after_hours_sessions"]
    assert world.schedules() == {}
    assert world.photos() == set()
    world.pass_time(hours=1)
    assert world.sweep()["departedForgotten"] == 1
    assert left_of_the_member(world) == []


def test_another_member_stays(phone: Phone, world: World) -> None:
    join(phone)
    join(Phone("other"))
    phone.leave()
    for table in OURS[:4]:
        condition = "WHERE ended_at IS NULL" if table == "after_hours_sessions" else ""
        assert world.rows(f"SELECT user_id FROM {table} {condition}") == [("local-other",)]


def test_ending_and_leaving_need_no_entitlement(phone: Phone, world: World) -> None:
    join(phone)
    world.rows("UPDATE after_hours_profiles SET photo_url = %s", PHOTO)
    world.rows("UPDATE users SET id_verified = false, after_hours_consent = false; DELETE FROM user_subscriptions")
    phone.end()
    phone.delete_photo()
    phone.leave()
    assert left_of_the_member(world) == ["after_hours_sessions"]


@pytest.mark.usefixtures("with_photo")
def test_what_storage_does_not_remove_now_the_sweep_removes(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise StorageUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(storage.Bucket, "delete", down)
        phone.leave()
        world.leases_run_out()
        assert world.sweep()["photosDeleted"] == 0
    assert world.photos() == {PHOTO, THUMBNAIL}
    assert left_of_the_member(world) == ["after_hours_sessions", "after_hours_outbox"]
    world.leases_run_out()
    assert world.sweep()["photosDeleted"] == 2
    assert world.photos() == set()
    assert left_of_the_member(world) == ["after_hours_sessions"]


@pytest.mark.usefixtures("with_photo")
def test_a_crash_after_the_transaction_leaves_nothing_behind(world: World) -> None:
    with world.connection() as database:
        database.fetch_one(leaving._LEAVE, {"user_id": "local-entitled"})  # and then the function dies
    world.leases_run_out()
    world.sweep()
    assert world.photos() == set()
    assert world.schedules() == {}
    assert left_of_the_member(world) == ["after_hours_sessions"]


@pytest.mark.slow
def test_a_start_and_a_leaving_at_once_leave_no_session_without_a_profile(world: World) -> None:
    def start(database: Database) -> None:
        with suppress(ProfileRequired):
            sessions.start(database, "local-entitled", sessions.StartSession.model_validate(START))

    def leave(database: Database) -> None:
        leaving.leave(database, "local-entitled")

    for _ in range(10):
        world.rows("INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled')")
        world.at_once(start, leave)
        assert world.rows("SELECT FROM after_hours_profiles") == []
        assert (
            world.rows("SELECT FROM after_hours_sessions WHERE ended_at IS NULL OR fuzzed_latitude IS NOT NULL") == []
        )
        world.rows("DELETE FROM after_hours_sessions")  # twelve starts an hour are a limit


LAPSES = {
    "subscription ended": "UPDATE user_subscriptions SET expires_at = now()",
    "subscription cancelled": "UPDATE user_subscriptions SET is_active = false",
    "no subscription": "DELETE FROM user_subscriptions",
    "verification withdrawn": "UPDATE users SET id_verified = false",
    "consent withdrawn": "UPDATE users SET after_hours_consent = false",
}


@pytest.mark.parametrize("lapse", LAPSES.values(), ids=LAPSES)
def test_the_sweep_ends_the_session_of_who_lost_the_right_to_it(phone: Phone, world: World, lapse: str) -> None:
    join(phone)
    assert world.sweep()["lapsed"] == 0
    world.rows(lapse)
    assert world.sweep()["lapsed"] == 1
    assert world.rows(
        "SELECT ended_at <= now() AND ended_at < expires_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude"
        " FROM after_hours_sessions"
    ) == [(True, None, None, None, None)]
    world.leases_run_out()
    assert world.sweep()["lapsed"] == 0
    assert world.schedules() == {}
