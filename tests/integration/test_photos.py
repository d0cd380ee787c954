"""A member's photo is shown, replaced and deleted, by the member or with the profile; and its addresses."""

import io
import posixpath
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from unicodedata import normalize
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import pytest
from after_hours.foundation import clients, secrets, storage
from after_hours.foundation.storage import Store
from after_hours.images import isolation
from PIL import Image

from tests.support.environment import R2_BUCKET
from tests.support.phone import Phone
from tests.support.world import World, keys_of, original_of
from tools.local import members

pytestmark = pytest.mark.usefixtures("profile")


def test_from_asking_to_showing(phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """To show it takes no client of a store. A copy in a phone's cache is used only while its address is valid."""
    assert set(phone.photo().model_dump().values()) == {"none", None}
    photo_id = phone.send()
    pending = phone.photo()
    assert (pending.photo_id, pending.status, pending.photo_url) == (photo_id, "pending", None)
    assert phone.profile().photo_status == "pending"

    assert world.arrive(photo_id) == "ready"
    for key in keys_of(photo_id):
        assert world.s3.head_object(Bucket=R2_BUCKET, Key=key)["CacheControl"] == "private, no-cache"
        # An earlier release, or an earlier backend, may have stored anything.
        world.s3.copy_object(
            Bucket=R2_BUCKET, Key=key, CopySource=f"{R2_BUCKET}/{key}", MetadataDirective="REPLACE",
            CacheControl="private, max-age=7200", ContentType="text/html",
        )  # fmt: skip
    for client in ("uploads", "r2"):
        monkeypatch.setattr(clients, client, lambda *_: pytest.fail("a client"))
    ready = phone.photo()
    assert (ready.photo_id, ready.status, ready.reason) == (photo_id, "ready", None)
    for profile in (phone.profile(), phone.update_profile(description="x")):
        assert (profile.photo_status, profile.photo_url) == ("ready", ready.photo_url)
        assert profile.thumbnail_url == ready.thumbnail_url
    for url, size in ((ready.photo_url, (1200, 900)), (ready.thumbnail_url, (200, 200))):
        assert url
        with urlopen(url, timeout=5) as answer, Image.open(io.BytesIO(answer.read())) as image:
            assert image.size == size
            assert not image.getexif()
            assert answer.headers["content-type"] == "image/jpeg"
            assert answer.headers["cache-control"] == "private, no-cache"
        with pytest.raises(HTTPError) as again:
            urlopen(Request(url, headers={"if-none-match": answer.headers["etag"]}), timeout=5)
        assert again.value.code == 304
    assert world.originals() == set()
    assert world.photos() == keys_of(photo_id)
    assert world.counts("after_hours_outbox") == [0]


def test_a_photo_of_the_earlier_backend_is_shown_and_replaced(phone: Phone, world: World) -> None:
    world.put_photo("after-hours-photos/old.webp", b"x")
    world.rows("UPDATE after_hours_profiles SET photo_url = 'after-hours-photos/old.webp'")
    earlier = phone.photo()
    assert (earlier.status, earlier.photo_id) == ("ready", None)
    assert earlier.photo_url
    assert urlsplit(earlier.photo_url).path == f"/{R2_BUCKET}/after-hours-photos/old.webp"
    assert earlier.thumbnail_url == earlier.photo_url
    newest = phone.send()
    world.arrive(newest)
    assert world.photos() == keys_of(newest)


@pytest.mark.parametrize(
    ("stage", "leave"),
    [
        ("pending", Phone.delete_photo), ("processing", Phone.delete_photo), ("processing", Phone.leave),
        ("ready", Phone.delete_photo),
    ],
)  # fmt: skip
def test_nothing_remains_of_a_photo_that_is_deleted_at_any_stage(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch, leave: Callable[[Phone], None], stage: str
) -> None:
    photo_id = phone.send()
    process = isolation.process

    def interrupted(data: bytes) -> isolation.Processed:
        leave(phone)
        return process(data)

    if stage == "processing":
        monkeypatch.setattr(isolation, "process", interrupted)
        assert world.arrive(photo_id) == "superseded"
    elif stage == "ready":
        world.arrive(photo_id)
        leave(phone)
    else:
        leave(phone)
        assert world.originals() == set()
    assert world.arrive(photo_id) == "duplicate"
    assert world.rows("SELECT photo_url FROM after_hours_profiles WHERE photo_url <> ''") == []
    assert (world.photos(), world.originals()) == (set(), set())
    assert world.counts("after_hours_outbox") == [0]
    if leave is Phone.delete_photo:
        assert (phone.photo().status, phone.photo().photo_id) == ("none", None)


@pytest.mark.parametrize("user_id", ["google-oauth2|1+b=c:d@example.com", "a/../b", "%2e 100% e\u0301~"])
def test_any_id_has_keys_and_addresses_that_stay_as_they_are(
    world: World, monkeypatch: pytest.MonkeyPatch, user_id: str
) -> None:
    """The first one stands in keys as it is, the others as a hash."""
    member = replace(members.SEEDED["entitled"], id=user_id)
    monkeypatch.setitem(members.SEEDED, "odd", member)
    members.save(world.own_connection, member)
    phone = Phone("odd")
    phone.create_profile()
    photo_id = phone.send()
    folder = user_id if "google" in user_id else "~" + sha256(user_id.encode()).hexdigest()
    assert world.originals() == {original_of(photo_id, folder)}
    assert world.announce(original_of(photo_id, folder)) == "ready"
    assert world.photos() == keys_of(photo_id, folder)
    photo = phone.photo()
    for url in (photo.photo_url, photo.thumbnail_url):
        assert url
        path = unquote(urlsplit(url).path)
        assert (posixpath.normpath(path), unquote(path), normalize("NFC", path)) == (path,) * 3
        assert urlopen(url, timeout=5).read()
    phone.leave()
    assert (world.photos(), world.originals()) == (set(), set())


def test_an_address_is_boto3_s_stays_for_an_hour_and_is_valid_for_two_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is signed with the key that the secret has now, since a key may be rotated while the function is warm."""
    hour = datetime(2026, 11, 24, 18, tzinfo=UTC)
    for module in ("botocore.auth", "botocore.signers"):
        monkeypatch.setattr(f"{module}.get_current_datetime", lambda: hour.replace(tzinfo=None), raising=False)

    def address(key: str, seconds: int) -> str:
        monkeypatch.setattr("after_hours.foundation.storage.time.time", lambda: hour.timestamp() + seconds)
        return storage.photo_address(key)

    assert "X-Amz-Credential=c%2F" in address("a/b.jpg", 0)
    rotated = secrets.r2_secret.read().model_copy(update={"access_key_id": "rotated"})
    monkeypatch.setattr(secrets.r2_secret, "read", lambda: rotated)
    bucket = storage.bucket(Store.R2)
    answer = {"ResponseCacheControl": "private, no-cache", "ResponseContentType": "image/jpeg"}
    for key in ("after-hours-photos/a/b.jpg", "after-hours-photos/google|1 é+%/b_thumb.jpg"):
        wanted = {"Bucket": bucket.name, "Key": key, **answer}
        signed = bucket.client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=3 * 3600)
        assert address(key, 0) == address(key, 3599) == signed != address(key, 3600)
