"""An upload is asked for, sent, then made a photo or rejected; its events come twice, at once, late or never."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from after_hours.foundation import clients
from after_hours.foundation.faults import StorageUnavailable
from after_hours.images import isolation
from after_hours.members import uploads

from tests.support.environment import UNREACHABLE, UPLOAD_BUCKET
from tests.support.phone import JPEG, Phone, refused
from tests.support.world import World, keys_of, original_of
from tools.pictures.files import corners, encoded

ID = "local-entitled"

pytestmark = pytest.mark.usefixtures("profile")


def test_the_form_is_for_one_key_and_ten_minutes(phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is signed without a call to S3. tests/e2e/test_photos.py has what S3 refuses, and an outage of R2."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", UNREACHABLE)
    clients.start_anew()
    form = phone.request_upload()
    assert form.max_bytes == 10 * 1024 * 1024
    assert form.fields["key"] == f"uploads/{ID}/{form.photo_id}"
    [(requested_at,)] = world.rows("SELECT requested_at FROM after_hours_photo_uploads")
    assert form.expires_at - requested_at == timedelta(minutes=10)


def test_ten_uploads_an_hour_then_429_until_the_first_is_an_hour_old(phone: Phone, world: World) -> None:
    phone.request_upload()
    world.pass_time(minutes=50)
    for _ in range(9):
        phone.request_upload()
    with refused("429 TOO_MANY_UPLOADS") as refusal:
        phone.request_upload()
    assert 590 <= refusal.value.retry_after <= 600
    world.pass_time(minutes=10)
    phone.request_upload()


@pytest.mark.parametrize(
    ("content", "reason"), [(encoded(corners(), "GIF"), "UNSUPPORTED_TYPE"), (JPEG[:-2000], "CORRUPT")]
)
def test_a_bad_file_is_rejected_whatever_the_sender_calls_it_and_the_photo_before_it_stays(
    phone: Phone, world: World, on_the_bus: list[dict[str, Any]], content: bytes, reason: str
) -> None:
    before = phone.send(content_type="image/gif")
    assert world.arrive(before) == "ready"
    bad = phone.send(content, content_type="image/jpeg; charset=utf-8")
    assert [world.arrive(bad) for _ in range(2)] == ["rejected", "duplicate"]
    status = phone.photo()
    assert (status.photo_id, status.status, status.reason) == (bad, "rejected", reason)
    assert phone.shown() == before
    assert (world.originals(), world.photos()) == (set(), keys_of(before))
    assert world.counts("after_hours_outbox") == [0]
    assert [event["DetailType"] for event in on_the_bus] == ["PhotoReady", "PhotoRejected"]


def test_an_object_that_no_member_asked_for_is_deleted_and_counted_and_a_key_that_names_none_is_ignored(
    phone: Phone, world: World, output: Callable[[], str]
) -> None:
    photo_id, other = phone.send(), UUID(int=7)
    unknown = [
        f"uploads/{ID}/{other}", f"uploads/local-other/{photo_id}", f"uploads/{ID}/{photo_id}/more",
        f"uploads/{ID}/UPPER-CASE", "uploads/", "elsewhere/x", f"uploads/{ID}/{other.hex}", "uploads/a b+1/é.jpg",
    ]  # fmt: skip
    for key in unknown:
        world.put_original(key, JPEG)
        assert world.announce(key) == "unknown"
        assert world.originals() == {original_of(photo_id)}
    assert output().count('"UnknownObjects":[1.0]') == len(unknown)
    nameless = ["", "%00", "%FF", "\ud800", "%ED%A0%80", f"uploads/%00/{other}", f"uploads/{ID}/{other}%0A"]
    objects = [{"key": key, "size": 1} for key in (*nameless, original_of(photo_id))]
    records = [{"s3": {"bucket": {"name": UPLOAD_BUCKET}, "object": each}} for each in objects]
    outcomes = world.run("process_photo", {"Records": records})["outcomes"]
    assert outcomes == ["unknown"] * len(nameless) + ["ready"]


def test_an_upload_without_a_file_has_failed_after_15_minutes_and_one_that_is_not_the_newest_goes_after_a_day(
    phone: Phone, world: World
) -> None:
    phone.request_upload()
    newest = phone.request_upload().photo_id
    world.pass_time(minutes=14)
    assert world.sweep()["uploadsFailed"] == 0
    world.pass_time(minutes=1)
    assert [world.sweep()["uploadsFailed"] for _ in range(2)] == [2, 0]
    assert (phone.photo().status, phone.photo().reason) == ("failed", "UPLOAD_TIMED_OUT")
    assert world.sweep()["uploadsForgotten"] == 0
    world.pass_time(days=1)
    assert world.sweep()["uploadsForgotten"] == 1
    assert world.arrive(newest) == "missing"
    assert (phone.photo().photo_id, phone.photo().reason) == (newest, "PROCESSING_FAILED")


def test_a_form_that_is_posted_again_and_again_costs_a_statement_each_time_and_waits_for_no_lock(
    phone: Phone, world: World, statements: Callable[[], list[str]]
) -> None:
    photo_id = phone.send()
    world.arrive(photo_id)
    before = phone.photo()
    sent = len(statements())
    with closing(world.database.connect()) as other, other.cursor() as cursor:  # another call of the same member
        cursor.execute("SELECT FROM after_hours_profiles, after_hours_photo_uploads FOR UPDATE")
        for _ in range(3):
            world.put_original(original_of(photo_id), JPEG)
            assert world.arrive(photo_id) == "duplicate"
    assert len(statements()) - sent == 3 + 2  # two are the other call's
    assert phone.photo() == before
    assert (world.originals(), world.photos()) == (set(), keys_of(photo_id))
    assert world.counts("after_hours_outbox") == [0]


def test_of_two_uploads_the_newest_request_wins_also_when_the_other_finishes_last(phone: Phone, world: World) -> None:
    older, newer = phone.send(), phone.send()
    assert [world.arrive(newer), world.arrive(older)] == ["ready", "superseded"]
    assert phone.shown() == phone.photo().photo_id == newer
    assert (world.originals(), world.photos()) == (set(), keys_of(newer))


def test_a_crash_after_r2_but_before_the_transaction_leaves_no_object(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_id = phone.send()
    monkeypatch.setattr(uploads, "_settle", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        world.arrive(photo_id)
    assert world.photos() == keys_of(photo_id)
    for passed in ({"minutes": 15}, {"days": 1}):
        world.pass_time(**passed)
        world.sweep()
        assert (world.photos(), phone.photo().status) == (set(), "failed")
    assert world.originals() == set()
    assert world.counts("after_hours_outbox") == [0]


def test_an_upload_that_another_function_processes_is_left_alone_for_a_minute(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_id = phone.send()
    process = isolation.process

    def second_event_comes(data: bytes) -> isolation.Processed:
        assert phone.photo().status == "processing"
        [(seconds,)] = world.rows("SELECT extract(epoch FROM leased_until - now()) FROM after_hours_photo_uploads")
        assert 50 < seconds <= 60
        with pytest.raises(uploads.UploadInProgress):
            world.arrive(photo_id)
        world.rows("UPDATE after_hours_photo_uploads SET leased_until = now()")  # the function is killed
        monkeypatch.setattr(isolation, "process", process)
        assert world.arrive(photo_id) == "ready"
        raise StorageUnavailable("killed")

    monkeypatch.setattr(isolation, "process", second_event_comes)
    with pytest.raises(StorageUnavailable):
        world.arrive(photo_id)
    assert phone.shown() == photo_id


def test_a_deletion_about_to_be_made_is_not_overtaken(phone: Phone, world: World) -> None:
    photo_id = phone.send()
    for key in keys_of(photo_id):
        world.rows("SELECT after_hours_put_deletions(ARRAY['r2'], ARRAY[%s], interval '0')", key)
    with pytest.raises(uploads.UploadInProgress):  # a sweep may have read these
        world.arrive(photo_id)
    world.sweep()
    assert world.arrive(photo_id) == "ready"
    assert world.photos() == keys_of(photo_id)
