"""A photo's way: asked for, sent, made, shown, replaced, removed; whatever comes twice, too late or not at all."""

import io
import json
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import urlopen

import pytest
from after_hours import aws, deletions, photos, storage, uploads
from after_hours.errors import StorageUnavailable, TooManyUploads
from after_hours.images import pipeline
from after_hours.images.rejection import Reason
from after_hours.storage import Store
from PIL import Image

from local import postgres
from pictures.files import corners, encoded, exif
from pictures.hostile import hostile
from tests.support.environment import R2_BUCKET, UNREACHABLE, UPLOAD_BUCKET
from tests.support.handlers import Answer
from tests.support.world import own_database

type Call = Callable[..., Answer]
type Rows = Callable[..., list[tuple[Any, ...]]]
type Keys = Callable[[str], set[str]]
type Send = Callable[..., str]
type Arrive = Callable[..., str]

ID = "local-entitled"
JPEG = encoded(corners((1600, 1200)), exif=exif(), quality=92)


def made(photo_id: str) -> set[str]:
    return {f"after-hours-photos/{ID}/{photo_id}.jpg", f"after-hours-photos/{ID}/{photo_id}_thumb.jpg"}


def arrival(key: str, size: int = 1000) -> dict[str, Any]:
    return {"Records": [{"s3": {"bucket": {"name": UPLOAD_BUCKET}, "object": {"key": quote(key), "size": size}}}]}


@pytest.fixture
def asked(call: Call) -> Callable[[], str]:
    """Ask for an upload; the photo's id."""

    def ask() -> str:
        answer = call("request_photo_upload")
        assert answer.status == 201, answer
        photo_id: str = answer.body["upload"]["photoId"]
        return photo_id

    return ask


@pytest.fixture
def send(asked: Callable[[], str], s3: Any) -> Send:
    """Ask, and send the file as the form would; the photo's id."""

    def run(content: bytes = JPEG, content_type: str = "image/jpeg") -> str:
        photo_id = asked()
        s3.put_object(Bucket=UPLOAD_BUCKET, Key=f"uploads/{ID}/{photo_id}", Body=content, ContentType=content_type)
        return photo_id

    return run


@pytest.fixture
def arrive(run_job: Any) -> Arrive:
    """Let S3 tell process_photo of the object; what it made of it."""

    def run(photo_id: str, size: int = 1000) -> str:
        [outcome] = run_job("process_photo", arrival(f"uploads/{ID}/{photo_id}", size))["outcomes"]
        assert isinstance(outcome, str)
        return outcome

    return run


@pytest.fixture
def later(rows: Rows) -> Callable[..., None]:
    """Let time pass, for uploads and removals."""

    def run(**duration: float) -> None:
        by = timedelta(**duration)
        rows(
            "UPDATE after_hours_photo_uploads SET requested_at = requested_at - %s, changed_at = changed_at - %s,"
            " forget_at = forget_at - %s; UPDATE after_hours_removals SET due_at = due_at - %s",
            by, by, by, by,
        )  # fmt: skip

    return run


@pytest.fixture
def r2_outage(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    def down(*_: Any, **__: Any) -> None:
        raise StorageUnavailable("down")

    class Down(storage.Bucket):
        get = put = delete = down

    @contextmanager
    def outage() -> Iterator[None]:
        bucket = storage.bucket

        def bucket_or_none(store: Store) -> storage.Bucket:
            return Down("down", bucket(store).client) if store is Store.R2 else bucket(store)

        with monkeypatch.context() as patch:
            patch.setattr(storage, "bucket", bucket_or_none)
            yield

    return outage


def photo(call: Call) -> dict[str, Any]:
    answer = call("get_photo")
    assert answer.status == 200
    body: dict[str, Any] = answer.body["photo"]
    return body


def shown(call: Call) -> str | None:
    """The id of the photo that the profile shows."""
    url: str | None = call("get_profile").body["profile"]["photoUrl"]
    return url and urlsplit(url).path.rsplit("/", 1)[1].removesuffix(".jpg")


def shown_now(rows: Rows) -> list[tuple[Any, ...]]:
    return rows("SELECT photo_url FROM after_hours_profiles WHERE photo_url <> ''")


pytestmark = pytest.mark.usefixtures("profile", "keys")


# --- asking -----------------------------------------------------------------------------------------------------------


def test_the_form_is_for_one_key_some_bytes_and_ten_minutes(call: Call, rows: Rows) -> None:
    upload = call("request_photo_upload").body["upload"]
    assert upload["maxBytes"] == 10 * 1024 * 1024
    assert upload["fields"]["key"] == f"uploads/{ID}/{upload['photoId']}"
    [(requested_at,)] = rows("SELECT requested_at FROM after_hours_photo_uploads")
    assert datetime.fromisoformat(upload["expiresAt"]) - requested_at == timedelta(minutes=10)
    policy = json.loads(b64decode(upload["fields"]["policy"]))
    assert ["content-length-range", 1, upload["maxBytes"]] in policy["conditions"]
    assert ["starts-with", "$Content-Type", "image/"] in policy["conditions"]
    assert {"key": upload["fields"]["key"]} in policy["conditions"]
    assert {"bucket": UPLOAD_BUCKET} in policy["conditions"]


def test_forms_are_signed_for_the_bucket_s_own_region(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    storage.bucket.cache_clear()
    post = storage.bucket(Store.UPLOADS).sign_post("k", max_bytes=1, type_prefix="image/", seconds=1)
    assert post.url == f"https://{UPLOAD_BUCKET}.s3.eu-west-1.amazonaws.com/"


def test_ten_uploads_an_hour_then_429_until_the_first_is_an_hour_old(
    call: Call, asked: Callable[[], str], later: Callable[..., None]
) -> None:
    asked()
    later(minutes=50)
    for _ in range(9):
        asked()
    answer = call("request_photo_upload")
    assert (answer.status, answer.body["code"]) == (429, "TOO_MANY_UPLOADS")
    assert 590 <= int(answer.headers["retry-after"]) <= 600
    assert call("request_photo_upload").status == 429
    later(minutes=10)
    assert call("request_photo_upload").status == 201


def test_thirty_phones_asking_at_once_get_ten_forms(migrated: postgres.Database, rows: Rows) -> None:
    def ask(_: int) -> bool:
        database = own_database(migrated)
        try:
            uploads.request(database, ID)
        except TooManyUploads:
            return False
        finally:
            database.close()
        return True

    storage.bucket(Store.UPLOADS)
    with ThreadPoolExecutor(30) as pool:
        assert sum(pool.map(ask, range(30))) == 10
    assert rows("SELECT count(*) FROM after_hours_photo_uploads") == [(10,)]


def test_a_photo_needs_a_profile(call: Call) -> None:
    call("delete_profile")
    for function in ("request_photo_upload", "get_photo"):
        assert (call(function).status, call(function).body["code"]) == (404, "PROFILE_NOT_FOUND")
    assert (call("delete_photo").status, call("delete_photo").body["code"]) == (404, "PHOTO_NOT_FOUND")


# --- the way to the profile -------------------------------------------------------------------------------------------


def test_from_asking_to_showing(call: Call, send: Send, arrive: Arrive, keys: Keys, rows: Rows) -> None:
    none = {"photoId": None, "status": "none", "reason": None, "photoUrl": None, "thumbnailUrl": None}
    assert photo(call) == none | {"requestedAt": None}
    photo_id = send()
    pending = photo(call)
    assert (pending["photoId"], pending["status"], pending["photoUrl"]) == (photo_id, "pending", None)
    assert call("get_profile").body["profile"]["photoStatus"] == "pending"

    assert arrive(photo_id) == "ready"
    ready = photo(call)
    assert (ready["photoId"], ready["status"], ready["reason"]) == (photo_id, "ready", None)
    profile = call("get_profile").body["profile"]
    assert {"photoStatus": "ready", "photoUrl": ready["photoUrl"], "thumbnailUrl": ready["thumbnailUrl"]}.items() <= (
        profile.items()
    )
    assert call("update_profile", body={"description": "x"}).body["profile"]["photoUrl"] == ready["photoUrl"]
    for name, size in (("photoUrl", (1200, 900)), ("thumbnailUrl", (200, 200))):
        with urlopen(ready[name], timeout=5) as answer, Image.open(io.BytesIO(answer.read())) as image:
            assert image.size == size
            assert not image.getexif()
            assert answer.headers["content-type"] == "image/jpeg"
            directive, _, seconds = answer.headers["cache-control"].partition("=")
            assert directive == "private, max-age"
            assert (
                3600 <= int(seconds) <= storage.URL_LIFETIME_SECONDS
            )  # it is of use for an hour, and ends with its URL
    assert keys(UPLOAD_BUCKET) == set()
    assert keys(R2_BUCKET) == made(photo_id)
    assert rows("SELECT * FROM after_hours_removals") == []


def test_while_it_is_made_its_status_says_so(
    call: Call, send: Send, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_id = send()
    process = pipeline.process
    seen = []

    def watched(data: bytes) -> pipeline.Processed:
        seen.append(photo(call)["status"])
        return process(data)

    monkeypatch.setattr(pipeline, "process", watched)
    arrive(photo_id)
    assert seen == ["processing"]


def test_a_new_photo_takes_the_old_one_s_place_and_the_old_one_goes(
    call: Call, send: Send, arrive: Arrive, keys: Keys
) -> None:
    for _ in range(3):
        newest = send()
        assert arrive(newest) == "ready"
        assert shown(call) == newest
        assert keys(R2_BUCKET) == made(newest)


def test_a_photo_of_the_earlier_backend_is_shown_and_replaced(
    call: Call, rows: Rows, send: Send, arrive: Arrive, keys: Keys, s3: Any
) -> None:
    s3.put_object(Bucket=R2_BUCKET, Key="old/photo.webp", Body=b"x")
    rows("UPDATE after_hours_profiles SET photo_url = 'old/photo.webp'")
    earlier = photo(call)
    assert (earlier["status"], earlier["photoId"]) == ("ready", None)
    assert urlsplit(earlier["photoUrl"]).path == f"/{R2_BUCKET}/old/photo.webp"
    assert earlier["thumbnailUrl"] == earlier["photoUrl"]
    newest = send()
    arrive(newest)
    assert keys(R2_BUCKET) == made(newest)


# --- what does not become a photo -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", hostile())
def test_a_bad_file_is_rejected_leaves_nothing_and_the_photo_before_it_stays(
    call: Call, send: Send, arrive: Arrive, keys: Keys, rows: Rows, name: str
) -> None:
    content, reason = hostile()[name]
    before = send()
    arrive(before)
    bad = send(content)
    assert arrive(bad, len(content)) == "rejected"
    status = photo(call)
    assert (status["photoId"], status["status"], status["reason"]) == (bad, "rejected", reason)
    assert shown(call) == before
    assert keys(UPLOAD_BUCKET) == set()
    assert keys(R2_BUCKET) == made(before)
    assert rows("SELECT * FROM after_hours_removals") == []


@pytest.mark.parametrize(
    "label",
    [
        "image/jpg",
        "image/JPEG",
        "image/jpeg; charset=utf-8",
        "image/*",
        "image/pjpeg",
        "image/heic-sequence",
        "image/png",
        "image/gif",
        "image/",
        "image/\u00e9".encode().decode("latin-1"),
    ],
)
def test_what_the_sender_calls_a_file_counts_for_nothing(call: Call, send: Send, arrive: Arrive, label: str) -> None:
    assert arrive(send(content_type=label)) == "ready"
    assert arrive(send(encoded(corners(), "GIF"), content_type=label)) == "rejected"
    assert photo(call)["reason"] == "UNSUPPORTED_TYPE"


def test_what_is_too_large_is_not_even_read(call: Call, send: Send, arrive: Arrive, monkeypatch: Any) -> None:
    monkeypatch.setattr(storage.Bucket, "get", lambda *_: pytest.fail("read"))
    assert arrive(send(), uploads.MAX_BYTES + 1) == "rejected"
    assert photo(call)["reason"] == "TOO_LARGE"


@pytest.mark.parametrize(
    "key",
    [
        f"uploads/{ID}/11111111-2222-3333-4444-555555555555",
        "uploads/local-other/{photo_id}",
        f"uploads/{ID}/{{photo_id}}/more",
        f"uploads/{ID}/UPPER-CASE",
        "uploads/",
        "elsewhere/x",
        f"uploads/{ID}/11111111222233334444555555555555",
        "uploads/somebody else+1/é.jpg",
    ],
)
def test_an_object_nobody_asked_for_is_deleted_and_counted(
    send: Send, run_job: Any, keys: Keys, s3: Any, key: str, output: Callable[[], str]
) -> None:
    photo_id = send()
    key = key.replace("{photo_id}", photo_id)
    s3.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=JPEG, ContentType="image/jpeg")
    assert run_job("process_photo", arrival(key))["outcomes"] == ["unknown"]
    assert keys(UPLOAD_BUCKET) == {f"uploads/{ID}/{photo_id}"}
    assert '"UnknownObjects":[1.0]' in output()


@pytest.mark.parametrize("stuck", ["pending", "processing"])
def test_what_is_stuck_for_15_minutes_has_failed_with_a_reason(
    call: Call, asked: Callable[[], str], rows: Rows, run_job: Any, later: Callable[..., None], stuck: str
) -> None:
    asked()
    rows("UPDATE after_hours_photo_uploads SET status = %s", stuck)
    later(minutes=14)
    assert run_job("sweep")["uploadsFailed"] == 0
    later(minutes=1)
    assert run_job("sweep")["uploadsFailed"] == 1
    expected = {"pending": "UPLOAD_TIMED_OUT", "processing": "PROCESSING_FAILED"}[stuck]
    assert (photo(call)["status"], photo(call)["reason"]) == ("failed", expected)
    assert run_job("sweep")["uploadsFailed"] == 0


# --- twice, in another order, at once ---------------------------------------------------------------------------------


def test_an_event_that_comes_again_changes_nothing(
    call: Call, send: Send, arrive: Arrive, keys: Keys, rows: Rows
) -> None:
    photo_id = send()
    arrive(photo_id)
    before = photo(call)
    assert arrive(photo_id) == "duplicate"
    assert photo(call) == before
    assert keys(R2_BUCKET) == made(photo_id)
    assert rows("SELECT * FROM after_hours_removals") == []


def test_a_form_used_twice_does_not_change_the_photo(
    call: Call, send: Send, arrive: Arrive, keys: Keys, s3: Any
) -> None:
    photo_id = send()
    arrive(photo_id)
    s3.put_object(Bucket=UPLOAD_BUCKET, Key=f"uploads/{ID}/{photo_id}", Body=b"other", ContentType="image/jpeg")
    assert arrive(photo_id) == "duplicate"
    assert photo(call)["status"] == "ready"
    assert keys(UPLOAD_BUCKET) == set()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_uploads_the_newest_request_wins_whichever_finishes_first(
    call: Call, send: Send, arrive: Arrive, keys: Keys, order: tuple[int, int]
) -> None:
    ids = [send(), send()]
    outcomes = [arrive(ids[i]) for i in order]
    assert outcomes == {(0, 1): ["ready", "ready"], (1, 0): ["ready", "superseded"]}[order]
    assert shown(call) == photo(call)["photoId"] == ids[1]
    assert keys(R2_BUCKET) == made(ids[1])
    assert keys(UPLOAD_BUCKET) == set()


def test_many_events_of_two_uploads_at_once_leave_the_newest_and_nothing_else(
    call: Call, send: Send, arrive: Arrive, keys: Keys, rows: Rows, migrated: postgres.Database
) -> None:
    for store in Store:
        storage.bucket(store)
    for _ in range(4):
        ids = [send(), send()]

        def process(photo_id: str) -> str:
            database = own_database(migrated)
            try:
                return uploads.process(database, f"uploads/{ID}/{photo_id}", 1000)
            except uploads.UploadInProgress:
                return "busy"
            finally:
                database.close()

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(process, ids * 4))
        assert outcomes.count("ready") + outcomes.count("superseded") == 2  # each is made once
        for photo_id in ids:
            assert arrive(photo_id) == "duplicate"
        assert shown(call) == photo(call)["photoId"] == ids[1]
        assert keys(R2_BUCKET) == made(ids[1])
        assert keys(UPLOAD_BUCKET) == set()
        assert rows("SELECT * FROM after_hours_removals") == []


# --- faults -----------------------------------------------------------------------------------------------------------


def test_r2_down_then_failed_then_redriven(
    call: Call,
    send: Send,
    arrive: Arrive,
    keys: Keys,
    rows: Rows,
    run_job: Any,
    later: Callable[..., None],
    r2_outage: Callable[[], AbstractContextManager[None]],
) -> None:
    photo_id = send()
    with r2_outage():
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                arrive(photo_id)
        later(minutes=15)
        assert run_job("sweep")["uploadsFailed"] == 1
    assert photo(call)["reason"] == "PROCESSING_FAILED"
    assert keys(UPLOAD_BUCKET) == {f"uploads/{ID}/{photo_id}"}
    later(minutes=1)
    run_job("sweep")
    assert arrive(photo_id) == "ready"
    assert shown(call) == photo_id
    assert keys(UPLOAD_BUCKET) == set()
    assert keys(R2_BUCKET) == made(photo_id)
    assert rows("SELECT * FROM after_hours_removals") == []


@pytest.mark.parametrize("retried", [True, False])
def test_a_crash_after_r2_but_before_the_transaction(
    call: Call,
    send: Send,
    arrive: Arrive,
    keys: Keys,
    rows: Rows,
    run_job: Any,
    later: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    *,
    retried: bool,
) -> None:
    photo_id = send()
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_settle", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            arrive(photo_id)
    assert keys(R2_BUCKET) == made(photo_id)
    if retried:
        assert arrive(photo_id) == "ready"
        later(days=1)
        run_job("sweep")
        assert shown(call) == photo_id
        assert keys(R2_BUCKET) == made(photo_id)
    else:
        later(minutes=15)
        run_job("sweep")
        assert photo(call)["status"] == "failed"
        assert keys(R2_BUCKET) == set()
        later(days=1)
        run_job("sweep")
    assert keys(UPLOAD_BUCKET) == set()
    assert rows("SELECT * FROM after_hours_removals") == []


def test_what_somebody_else_is_processing_is_left_alone_for_as_long_as_that_may_take(
    call: Call, send: Send, arrive: Arrive, rows: Rows
) -> None:
    photo_id = send()
    rows(
        "UPDATE after_hours_photo_uploads SET status = 'processing',"
        " leased_until = now() + make_interval(secs => %s)", 60,
    )  # fmt: skip
    with pytest.raises(uploads.UploadInProgress):
        arrive(photo_id)
    rows("UPDATE after_hours_photo_uploads SET leased_until = now()")  # it was killed
    assert arrive(photo_id) == "ready"
    assert shown(call) == photo_id


def test_an_original_that_is_gone_has_failed(call: Call, asked: Callable[[], str], arrive: Arrive) -> None:
    assert arrive(asked()) == "missing"
    assert (photo(call)["status"], photo(call)["reason"]) == ("failed", "PROCESSING_FAILED")


def test_a_removal_written_anew_is_not_taken_for_done(
    rows: Rows, environment: None, migrated: postgres.Database
) -> None:
    database = own_database(migrated)
    rows("INSERT INTO after_hours_removals VALUES ('r2', 'k', now() - interval '1 minute')")
    read = database.fetch_all("SELECT store, key, due_at FROM after_hours_removals")
    rows("UPDATE after_hours_removals SET due_at = now()")  # made again meanwhile, by somebody who must remove it
    deletions.carry_out(database, read)
    assert rows("SELECT count(*) FROM after_hours_removals") == [(1,)]
    database.close()


def test_a_removal_about_to_be_carried_out_is_not_overtaken(
    send: Send, arrive: Arrive, rows: Rows, run_job: Any, keys: Keys
) -> None:
    photo_id = send()
    for key in made(photo_id):
        rows("INSERT INTO after_hours_removals VALUES ('r2', %s, now())", key)  # a sweep may have read these
    with pytest.raises(uploads.UploadInProgress):
        arrive(photo_id)
    run_job("sweep")
    assert arrive(photo_id) == "ready"
    assert keys(R2_BUCKET) == made(photo_id)


def test_old_uploads_are_forgotten_but_for_the_newest(
    call: Call, asked: Callable[[], str], run_job: Any, later: Callable[..., None]
) -> None:
    asked()
    newest = asked()
    assert run_job("sweep")["uploadsForgotten"] == 0
    later(days=1, minutes=1)
    assert run_job("sweep")["uploadsForgotten"] == 1
    assert photo(call)["photoId"] == newest


# --- removing ---------------------------------------------------------------------------------------------------------


def test_deleting_takes_the_photo_off_and_away(call: Call, send: Send, arrive: Arrive, keys: Keys, rows: Rows) -> None:
    arrive(send())
    assert call("delete_photo").status == 204
    assert photo(call)["status"] == "none"
    assert (photo(call)["photoId"], shown(call)) == (None, None)
    assert keys(R2_BUCKET) == set()
    assert rows("SELECT * FROM after_hours_removals") == []
    assert (call("delete_photo").status, call("delete_photo").body["code"]) == (404, "PHOTO_NOT_FOUND")


def test_deleting_ends_an_upload_that_is_under_way(call: Call, send: Send, arrive: Arrive, keys: Keys) -> None:
    photo_id = send()
    assert call("delete_photo").status == 204
    assert keys(UPLOAD_BUCKET) == set()
    assert arrive(photo_id) == "duplicate"
    assert photo(call)["status"] == "none"
    assert keys(R2_BUCKET) == set()


@pytest.mark.parametrize("leaving", ["delete_photo", "delete_profile"])
def test_what_is_deleted_while_it_is_made_leaves_nothing(
    call: Call, send: Send, arrive: Arrive, keys: Keys, rows: Rows, monkeypatch: pytest.MonkeyPatch, leaving: str
) -> None:
    photo_id = send()
    process = pipeline.process

    def interrupted(data: bytes) -> pipeline.Processed:
        assert call(leaving).status == 204
        return process(data)

    monkeypatch.setattr(pipeline, "process", interrupted)
    assert arrive(photo_id) == "superseded"
    assert shown_now(rows) == []
    assert (keys(R2_BUCKET), keys(UPLOAD_BUCKET)) == (set(), set())
    assert rows("SELECT * FROM after_hours_removals") == []


@pytest.mark.parametrize("who", ["noPremium", "unverified", "noConsent"])
def test_taking_one_s_photo_back_needs_no_entitlement(call: Call, rows: Rows, people: Any, who: str) -> None:
    rows("INSERT INTO after_hours_profiles (user_id, photo_url) VALUES (%s, 'x.jpg')", people[who].id)
    assert call("delete_photo", who=who).status == 204


def test_a_file_sent_after_leaving_is_deleted(call: Call, send: Send, arrive: Arrive, keys: Keys) -> None:
    photo_id = send()
    call("delete_profile")
    assert keys(UPLOAD_BUCKET) == set()
    assert arrive(photo_id) == "duplicate"
    assert (keys(R2_BUCKET), keys(UPLOAD_BUCKET)) == (set(), set())


def test_an_account_that_the_main_app_deletes_takes_its_photo_along(
    rows: Rows, send: Send, arrive: Arrive, keys: Keys, run_job: Any, later: Callable[..., None]
) -> None:
    arrive(send())
    rows("DELETE FROM users WHERE id = %s", ID)
    later(minutes=1)
    run_job("sweep")
    assert keys(R2_BUCKET) == set()


def test_what_cannot_be_removed_does_not_keep_others_from_going(
    rows: Rows, run_job: Any, monkeypatch: pytest.MonkeyPatch, keys: Keys, s3: Any
) -> None:
    s3.put_object(Bucket=R2_BUCKET, Key="good", Body=b"x")
    rows(
        "INSERT INTO after_hours_removals"
        " SELECT 'r2', 'bad' || n, now() - interval '1 hour' FROM generate_series(1, 200) n"
    )
    rows("INSERT INTO after_hours_removals VALUES ('r2', 'good', now())")
    delete = storage.Bucket.delete

    def refuse(bucket: storage.Bucket, key: str) -> None:
        if key.startswith("bad"):
            raise StorageUnavailable("AccessDenied")
        delete(bucket, key)

    monkeypatch.setattr(storage.Bucket, "delete", refuse)
    run_job("sweep")
    assert keys(R2_BUCKET) == set()
    assert rows("SELECT count(*), min(due_at) > now() FROM after_hours_removals") == [(200, True)]


def test_a_silent_store_takes_a_call_seconds_and_does_not_keep_the_other_store_waiting(
    call: Call, send: Send, arrive: Arrive, rows: Rows, run_job: Any, keys: Keys, s3: Any, monkeypatch: Any
) -> None:
    tried = []
    delete = storage.Bucket.delete

    def silent(bucket: storage.Bucket, key: str) -> None:
        if bucket.name == R2_BUCKET:
            tried.append(key)
            time.sleep(0.02)
            raise StorageUnavailable("ReadTimeoutError")
        delete(bucket, key)

    arrive(send())
    send()
    rows(
        "INSERT INTO after_hours_removals"
        " SELECT 'r2', 'old' || n, now() - interval '1 hour' FROM generate_series(1, 50) n"
    )
    monkeypatch.setattr(aws, "_SILENCE_SECONDS", 0.01)
    monkeypatch.setattr(storage.Bucket, "delete", silent)
    assert call("delete_profile").status == 204
    assert len(tried) == 2  # the photo and its thumbnail, at the same time
    assert keys(UPLOAD_BUCKET) == set()
    s3.put_object(Bucket=UPLOAD_BUCKET, Key="left", Body=b"x")
    rows("INSERT INTO after_hours_removals VALUES ('uploads', 'left')")
    run_job("sweep")
    assert 2 < len(tried) <= 2 + 8  # no more than at a time
    assert keys(UPLOAD_BUCKET) == set()


@pytest.mark.parametrize("function", ["delete_photo", "delete_profile"])
def test_what_is_done_is_answered_as_done_when_the_database_goes_afterwards(
    call: Call, send: Send, arrive: Arrive, run_job: Any, rows: Rows, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    arrive(send())
    with monkeypatch.context() as patch:
        patch.setattr(deletions, "_FORGET", "SELECT pg_terminate_backend(pg_backend_pid())")
        assert call(function).status == 204
    rows("UPDATE after_hours_removals SET due_at = now() - interval '1 minute'")
    run_job("sweep")
    assert rows("SELECT * FROM after_hours_removals") == []


# --- addresses --------------------------------------------------------------------------------------------------------


def test_an_address_stays_the_same_for_an_hour_and_is_good_for_two_more(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def address(now: int) -> str:
        monkeypatch.setattr("after_hours.storage.time.time", lambda: now)
        return storage.photo_address("k.jpg")

    start = 1_795_557_600
    assert start % 3600 == 0
    assert address(start) == address(start + 3599)
    assert address(start + 3600) != address(start)
    query = parse_qs(urlsplit(address(start + 3599)).query)
    signed = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z").timestamp()
    assert signed + int(query["X-Amz-Expires"][0]) >= start + 3599 + 2 * 3600


@pytest.mark.parametrize("key", ["after-hours-photos/a/b.jpg", "after-hours-photos/google|1 é+%/b_thumb.jpg"])
def test_addresses_are_those_that_boto3_would_sign(
    environment: None, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    now = 1_795_557_600
    monkeypatch.setattr("after_hours.storage.time.time", lambda: now)
    moment = datetime.fromtimestamp(now, tz=datetime.fromisoformat("2026-01-01T00:00:00Z").tzinfo)
    for module in ("botocore.auth", "botocore.signers"):
        monkeypatch.setattr(f"{module}.get_current_datetime", lambda: moment.replace(tzinfo=None), raising=False)
    bucket = storage.bucket(Store.R2)
    theirs = bucket.client.generate_presigned_url(
        "get_object", Params={"Bucket": bucket.name, "Key": key}, ExpiresIn=storage.URL_LIFETIME_SECONDS
    )
    assert storage.photo_address(key) == theirs


def test_showing_a_photo_makes_no_client(
    call: Call, send: Send, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(send())
    monkeypatch.setattr("boto3.client", lambda *_, **__: pytest.fail("a client"))
    storage.bucket.cache_clear()
    assert call("get_profile").body["profile"]["photoUrl"]


def test_reasons_of_rejection_are_those_of_the_contract() -> None:
    schema = photos.Photo.model_json_schema(mode="serialization")
    listed = [schema["$defs"][part["$ref"].split("/")[-1]] if "$ref" in part else part
              for part in schema["properties"]["reason"]["anyOf"]]  # fmt: skip
    assert {reason for part in listed for reason in part.get("enum", ())} == {
        *Reason, "UPLOAD_TIMED_OUT", "PROCESSING_FAILED",
    }  # fmt: skip


def test_storage_out_of_reach_when_a_form_is_signed_is_no_matter(call: Call, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", UNREACHABLE)
    storage.bucket.cache_clear()
    assert call("request_photo_upload").status == 201
