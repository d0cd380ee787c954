"""What is to be deleted in the stores goes, at once or with the sweep, whatever is silent, refused or overtaken."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from after_hours.foundation import calls, secrets, storage
from after_hours.foundation.faults import SecretsUnavailable, StorageUnavailable
from after_hours.members import uploads
from after_hours.outbox import relay

from tests.support.environment import R2_BUCKET
from tests.support.phone import Phone
from tests.support.world import World, keys_of

ID = "local-entitled"
PUT = "SELECT after_hours_put_deletions(ARRAY[%s], ARRAY[%s], interval '0')"

pytestmark = pytest.mark.usefixtures("profile", "empty_stores")


def test_a_task_written_anew_is_not_taken_for_done(world: World) -> None:
    world.rows(PUT, "r2", "after-hours-photos/k")
    with world.connection() as database:
        read = database.fetch_all("SELECT kind, key, payload, attempts, version FROM after_hours_outbox")
        world.rows(PUT, "r2", "after-hours-photos/k")  # by a function that makes the object again meanwhile
        relay.do_now(database, read)
        assert world.counts("after_hours_outbox") == [1]
        relay.do_now(
            database, database.fetch_all("SELECT kind, key, payload, attempts, version FROM after_hours_outbox")
        )
    assert world.counts("after_hours_outbox") == [0]


def test_a_deletion_about_to_be_made_is_not_overtaken(phone: Phone, world: World) -> None:
    photo_id = phone.send()
    for key in keys_of(photo_id):
        world.rows(PUT, "r2", key)  # a sweep may have read these
    with pytest.raises(uploads.UploadInProgress):
        world.arrive(photo_id)
    world.sweep()
    assert world.arrive(photo_id) == "ready"
    assert world.photos() == keys_of(photo_id)


def test_what_cannot_be_removed_does_not_keep_others_from_going(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put_photo("after-hours-photos/good", b"x")
    world.rows(
        "INSERT INTO after_hours_outbox (kind, key, due_at)"
        " SELECT 'r2', 'after-hours-photos/bad' || n, now() - interval '1 hour' FROM generate_series(1, 400) n"
    )
    world.rows(PUT, "r2", "after-hours-photos/good")
    delete = storage.Bucket.delete

    def refuse(bucket: storage.Bucket, key: str) -> None:
        if key.startswith("after-hours-photos/bad"):
            raise StorageUnavailable("AccessDenied")
        delete(bucket, key)

    monkeypatch.setattr(storage.Bucket, "delete", refuse)
    world.sweep()
    assert world.photos() == set()
    assert world.rows("SELECT count(*), min(due_at) > now() FROM after_hours_outbox") == [(400, True)]


def test_a_silent_store_takes_a_call_seconds_and_does_not_keep_the_other_store_waiting(
    phone: Phone, world: World, monkeypatch: Any
) -> None:
    tried = []
    delete = storage.Bucket.delete

    def silent(bucket: storage.Bucket, key: str) -> None:
        if bucket.name == R2_BUCKET:
            tried.append(key)
            time.sleep(0.02)
            raise StorageUnavailable("ReadTimeoutError")
        delete(bucket, key)

    world.arrive(phone.send())
    phone.send()
    world.rows(
        "INSERT INTO after_hours_outbox (kind, key, due_at)"
        " SELECT 'r2', 'after-hours-photos/old' || n, now() - interval '1 hour' FROM generate_series(1, 50) n"
    )
    monkeypatch.setattr(calls, "_SILENCE_SECONDS", 0.01)
    monkeypatch.setattr(storage.Bucket, "delete", silent)
    phone.leave()
    assert len(tried) == 2  # the photo and its thumbnail, at the same time
    assert world.originals() == set()
    world.put_original("uploads/left", b"x")
    world.rows(PUT, "uploads", "uploads/left")
    world.sweep()
    assert 2 < len(tried) <= 2 + 8  # no more than at a time
    assert world.originals() == set()


def test_an_object_that_is_not_ours_stays_wherever_its_row_comes_from(
    phone: Phone, world: World, output: Callable[[], str]
) -> None:
    foreign = ["main-app/1.jpg", "/after-hours-photos/a.jpg", "uploads/a", "after-hours-photos"]
    for key in foreign:
        world.put_photo(key)
        world.rows(PUT, "r2", key)
    world.put_original("after-hours-photos/a", b"x")
    world.rows(PUT, "uploads", "after-hours-photos/a")
    world.rows("UPDATE after_hours_profiles SET photo_url = 'main-app/1.jpg'")
    world.sweep()
    phone.leave()  # deletes what its profile names, at once
    world.leases_run_out()
    world.sweep()
    assert world.photos() == set(foreign)
    assert world.originals() == {"after-hours-photos/a"}
    assert world.counts("after_hours_outbox") == [0]
    assert output().replace(" ", "").count('"ForeignDeletions":[') == 2  # of the sweep and of the member's call


def test_what_is_done_is_answered_as_done_when_the_database_goes_afterwards(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.arrive(phone.send())
    with monkeypatch.context() as patch:
        patch.setattr(relay, "_SETTLE", "SELECT pg_terminate_backend(pg_backend_pid())")
        phone.leave()
    world.rows("UPDATE after_hours_outbox SET due_at = now() - interval '1 minute'")
    world.sweep()
    assert world.counts("after_hours_outbox") == [0]


def test_a_store_whose_secret_cannot_be_read_leaves_its_objects_to_the_sweep(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member's change is made: the answer must not be 503."""
    world.arrive(phone.send())

    def unreadable() -> None:
        raise SecretsUnavailable("Timeout")

    with monkeypatch.context() as patch:
        patch.setattr(secrets.r2_secret, "read", unreadable)
        phone.leave()
    assert world.rows("SELECT DISTINCT kind FROM after_hours_outbox") == [("r2",)]
    world.leases_run_out()
    world.sweep()
    assert world.photos() == set()
