"""A member's photo: shown, replaced, taken back, and gone with whoever leaves."""

import io
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from after_hours import photos
from after_hours.images import pipeline
from after_hours.images.rejection import Reason
from PIL import Image

from tests.support.environment import R2_BUCKET
from tests.support.phone import Phone, refused
from tests.support.world import World, keys_of

ID = "local-entitled"

pytestmark = pytest.mark.usefixtures("profile", "empty_stores")


def test_a_photo_needs_a_profile(phone: Phone) -> None:
    phone.leave()
    for ask in (phone.request_upload, phone.photo):
        with refused("404 PROFILE_NOT_FOUND"):
            ask()
    with refused("404 PHOTO_NOT_FOUND"):
        phone.delete_photo()


def test_from_asking_to_showing(phone: Phone, world: World) -> None:
    assert set(phone.photo().model_dump().values()) == {"none", None}
    photo_id = phone.send()
    pending = phone.photo()
    assert (pending.photo_id, pending.status, pending.photo_url) == (photo_id, "pending", None)
    assert phone.profile().photo_status == "pending"

    assert world.arrive(photo_id) == "ready"
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
    assert world.originals() == set()
    assert world.photos() == keys_of(photo_id)
    assert world.counts("after_hours_removals") == [0]


def test_a_cached_copy_is_used_only_while_its_address_is_valid(phone: Phone, world: World) -> None:
    photo_id = phone.send()
    world.arrive(photo_id)
    for key in keys_of(photo_id):
        assert world.s3.head_object(Bucket=R2_BUCKET, Key=key)["CacheControl"] == "private, no-cache"
        # An earlier release, or an earlier backend, may have stored anything.
        world.s3.put_object(Bucket=R2_BUCKET, Key=key, CacheControl="private, max-age=7200", ContentType="text/html")
    photo = phone.photo()
    for url in (photo.photo_url, photo.thumbnail_url):
        assert url
        with urlopen(url, timeout=5) as answer:
            assert answer.headers["cache-control"] == "private, no-cache"
            assert answer.headers["content-type"] == "image/jpeg"
        with pytest.raises(HTTPError) as again:
            urlopen(Request(url, headers={"if-none-match": answer.headers["etag"]}), timeout=5)
        assert again.value.code == 304


def test_a_new_photo_takes_the_old_one_s_place_and_the_old_one_goes(phone: Phone, world: World) -> None:
    for _ in range(3):
        newest = phone.send()
        assert world.arrive(newest) == "ready"
        assert phone.shown() == newest
        assert world.photos() == keys_of(newest)


def test_a_photo_of_the_earlier_backend_is_shown_and_replaced(phone: Phone, world: World) -> None:
    world.put_photo("old/photo.webp", b"x")
    world.rows("UPDATE after_hours_profiles SET photo_url = 'old/photo.webp'")
    earlier = phone.photo()
    assert (earlier.status, earlier.photo_id) == ("ready", None)
    assert earlier.photo_url
    assert urlsplit(earlier.photo_url).path == f"/{R2_BUCKET}/old/photo.webp"
    assert earlier.thumbnail_url == earlier.photo_url
    newest = phone.send()
    world.arrive(newest)
    assert world.photos() == keys_of(newest)


def test_deleting_takes_the_photo_off_and_away(phone: Phone, world: World) -> None:
    world.arrive(phone.send())
    phone.delete_photo()
    assert phone.photo().status == "none"
    assert (phone.photo().photo_id, phone.shown()) == (None, None)
    assert world.photos() == set()
    assert world.counts("after_hours_removals") == [0]
    with refused("404 PHOTO_NOT_FOUND"):
        phone.delete_photo()


def test_deleting_ends_an_upload_that_is_under_way(phone: Phone, world: World) -> None:
    photo_id = phone.send()
    phone.delete_photo()
    assert world.originals() == set()
    assert world.arrive(photo_id) == "duplicate"
    assert phone.photo().status == "none"
    assert world.photos() == set()


@pytest.mark.parametrize("leave", [Phone.delete_photo, Phone.leave])
def test_what_is_deleted_while_it_is_made_leaves_nothing(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch, leave: Callable[[Phone], None]
) -> None:
    photo_id = phone.send()
    process = pipeline.process

    def interrupted(data: bytes) -> pipeline.Processed:
        leave(phone)
        return process(data)

    monkeypatch.setattr(pipeline, "process", interrupted)
    assert world.arrive(photo_id) == "superseded"
    assert world.rows("SELECT photo_url FROM after_hours_profiles WHERE photo_url <> ''") == []
    assert (world.photos(), world.originals()) == (set(), set())
    assert world.counts("after_hours_removals") == [0]


@pytest.mark.parametrize("who", ["noPremium", "unverified", "noConsent"])
def test_taking_one_s_photo_back_needs_no_entitlement(world: World, who: str) -> None:
    phone = Phone(who)
    world.rows("INSERT INTO after_hours_profiles (user_id, photo_url) VALUES (%s, 'x.jpg')", phone.id)
    phone.delete_photo()


def test_a_file_sent_after_leaving_is_deleted(phone: Phone, world: World) -> None:
    photo_id = phone.send()
    phone.leave()
    assert world.originals() == set()
    assert world.arrive(photo_id) == "duplicate"
    assert (world.photos(), world.originals()) == (set(), set())


def test_an_account_that_the_main_app_deletes_takes_its_photo_along(phone: Phone, world: World) -> None:
    world.arrive(phone.send())
    world.rows("DELETE FROM users WHERE id = %s", ID)
    world.pass_time(minutes=1)
    world.sweep()
    assert world.photos() == set()


def test_reasons_of_rejection_are_those_of_the_contract() -> None:
    schema = photos.Photo.model_json_schema(mode="serialization")
    listed = [schema["$defs"][part["$ref"].split("/")[-1]] if "$ref" in part else part
              for part in schema["properties"]["reason"]["anyOf"]]  # fmt: skip
    assert {reason for part in listed for reason in part.get("enum", ())} == {
        *Reason, "UPLOAD_TIMED_OUT", "PROCESSING_FAILED",
    }  # fmt: skip
