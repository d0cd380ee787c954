"""Addresses and forms are signed as boto3 would, with the key that is valid; faults are told by their code."""

from datetime import UTC, datetime
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from after_hours.foundation import clients, secrets, storage
from after_hours.foundation.faults import StorageUnavailable
from after_hours.foundation.storage import Store

from tests.support.environment import UNREACHABLE, UPLOAD_BUCKET
from tests.support.phone import Phone
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("profile", "empty_stores")


def test_forms_are_signed_for_the_bucket_s_own_region_and_for_ipv6_where_that_alone_leads_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R2 is asked as ever."""
    for dual_stack, host in ((False, "s3.eu-west-1"), (True, "s3.dualstack.eu-west-1")):
        monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", str(dual_stack).lower())
        clients.start_anew()
        photos = storage.bucket(Store.R2)
        photos.put("k.jpg", b"a photo")
        assert photos.get("k.jpg") == b"a photo"
        with monkeypatch.context() as deployed:
            deployed.delenv("AWS_ENDPOINT_URL")
            deployed.setenv("AWS_DEFAULT_REGION", "eu-west-1")
            clients.start_anew()
            post = storage.bucket(Store.UPLOADS).sign_post("k", max_bytes=1, type_prefix="image/", seconds=1)
        assert post.url == f"https://{UPLOAD_BUCKET}.{host}.amazonaws.com/"


def test_a_rotated_key_of_r2_is_used_while_the_function_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    def key_of(bucket: storage.Bucket) -> str:
        return urlsplit(bucket.client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})).query

    assert "X-Amz-Credential=c%2F" in key_of(storage.bucket(Store.R2))
    rotated = secrets.r2_secret.read().model_copy(update={"access_key_id": "rotated"})
    monkeypatch.setattr(secrets.r2_secret, "read", lambda: rotated)
    assert "X-Amz-Credential=rotated%2F" in key_of(storage.bucket(Store.R2))
    assert storage.bucket(Store.R2).client is storage.bucket(Store.R2).client


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"bucket": "no-such-bucket"}, "NoSuchBucket"), ({"endpoint_url": UNREACHABLE}, "EndpointConnectionError")],
)
def test_whatever_a_store_answers_is_told_by_its_code(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], reason: str
) -> None:
    failing = secrets.r2_secret.read().model_copy(update=change)
    monkeypatch.setattr(secrets.r2_secret, "read", lambda: failing)
    bucket = storage.bucket(Store.R2)
    put = partial(bucket.put, "k", b"a photo")
    for call in (put, partial(bucket.delete, "k")):
        with pytest.raises(StorageUnavailable, match=f"^{reason}(:|$)"):
            call()


def test_an_address_stays_the_same_for_an_hour_and_is_good_for_two_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def address(now: int) -> str:
        monkeypatch.setattr("after_hours.foundation.storage.time.time", lambda: now)
        return storage.photo_address("k.jpg")

    start = 1_795_557_600
    assert start % 3600 == 0
    assert address(start) == address(start + 3599)
    assert address(start + 3600) != address(start)
    query = parse_qs(urlsplit(address(start + 3599)).query)
    signed = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z").timestamp()
    assert signed + int(query["X-Amz-Expires"][0]) >= start + 3599 + 2 * 3600


def test_addresses_are_those_that_boto3_would_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_795_557_600
    monkeypatch.setattr("after_hours.foundation.storage.time.time", lambda: now)
    moment = datetime.fromtimestamp(now, tz=UTC).replace(tzinfo=None)
    for module in ("botocore.auth", "botocore.signers"):
        monkeypatch.setattr(f"{module}.get_current_datetime", lambda: moment, raising=False)
    bucket = storage.bucket(Store.R2)
    answer = {"ResponseCacheControl": "private, no-cache", "ResponseContentType": "image/jpeg"}
    for key in ("after-hours-photos/a/b.jpg", "after-hours-photos/google|1 é+%/b_thumb.jpg"):
        assert storage.photo_address(key) == bucket.client.generate_presigned_url(
            "get_object",
            Params={"Bucket": bucket.name, "Key": key, **answer},
            ExpiresIn=storage.URL_LIFETIME_SECONDS,
        )


def test_showing_a_photo_makes_no_client(phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.arrive(phone.send())
    for client in ("uploads", "r2"):
        monkeypatch.setattr(clients, client, lambda *_: pytest.fail("a client"))
    assert phone.profile().photo_url
