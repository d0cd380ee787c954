"""A photo that the main app has banned is refused, however it was changed; a look that fails lets nobody through."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from after_hours.errors import InternalError
from after_hours.images import pipeline
from PIL import Image

from pictures.files import corners, encoded
from pictures.photograph import photograph
from tests.support.environment import UPLOAD_BUCKET
from tests.support.handlers import Answer

type Rows = Callable[..., list[tuple[Any, ...]]]
type Upload = Callable[[bytes], str]

ID = "local-entitled"
PHOTO = photograph(1200, 900)


@pytest.fixture
def upload(call: Callable[..., Answer], profile: None, s3: Any, run_job: Any) -> Upload:
    """Ask for an upload, send the file, let S3 tell of it. Returns what became of it."""

    def run(content: bytes) -> str:
        photo_id = call("request_photo_upload").body["upload"]["photoId"]
        key = f"uploads/{ID}/{photo_id}"
        s3.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=content)
        [outcome] = run_job("process_photo", {"Records": [{"s3": {"object": {"key": key, "size": len(content)}}}]})[
            "outcomes"
        ]
        assert isinstance(outcome, str)
        return outcome

    return run


@pytest.fixture
def banned(rows: Rows) -> Iterator[str]:
    """The hash of the photo, banned."""
    photo_hash = pipeline.process(encoded(PHOTO, quality=92)).photo_hash
    rows("TRUNCATE banned_photo_hashes")
    rows("INSERT INTO banned_photo_hashes (photo_hash) VALUES (%s)", photo_hash)
    yield photo_hash
    rows("TRUNCATE banned_photo_hashes")


def cropped(image: Image.Image, share: float) -> Image.Image:
    across, down = round(image.width * share), round(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


VERSIONS = {
    "as it was": lambda: encoded(PHOTO, quality=92),
    "recompressed": lambda: encoded(PHOTO, quality=40),
    "as PNG": lambda: encoded(PHOTO, "PNG"),
    "smaller": lambda: encoded(PHOTO.resize((500, 375)), quality=80),
    "stretched": lambda: encoded(PHOTO.resize((900, 900)), quality=80),
    "cropped": lambda: encoded(cropped(PHOTO, 0.02), quality=85),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_banned_photo_is_refused_and_the_one_before_it_stays(
    call: Callable[..., Answer], upload: Upload, rows: Rows, banned: str, version: str
) -> None:
    assert upload(encoded(corners())) == "ready"
    before = rows("SELECT photo_url, photo_hash FROM after_hours_profiles")
    assert upload(VERSIONS[version]()) == "rejected"
    photo = call("get_photo").body["photo"]
    assert (photo["status"], photo["reason"]) == ("rejected", "NOT_ALLOWED")
    assert rows("SELECT photo_url, photo_hash FROM after_hours_profiles") == before


def test_the_hash_of_the_photo_shown_is_kept_and_goes_with_it(
    call: Callable[..., Answer], upload: Upload, rows: Rows
) -> None:
    assert upload(encoded(PHOTO, quality=92)) == "ready"
    [(kept,)] = rows("SELECT photo_hash FROM after_hours_profiles")
    assert kept == pipeline.process(encoded(PHOTO, quality=92)).photo_hash
    assert upload(encoded(corners())) == "ready"
    assert rows("SELECT photo_hash FROM after_hours_profiles") != [(kept,)]
    call("delete_photo")
    assert rows("SELECT photo_hash FROM after_hours_profiles") == [(None,)]


@pytest.mark.parametrize(("bits", "outcome"), [(9, "rejected"), (10, "ready")])
def test_fewer_than_ten_bits_make_a_photo_the_same(
    upload: Upload, rows: Rows, banned: str, bits: int, outcome: str
) -> None:
    rows("UPDATE banned_photo_hashes SET photo_hash = %s", f"{int(banned, 16) ^ ((1 << bits) - 1):016X}")
    assert upload(encoded(PHOTO, quality=92)) == outcome


def test_a_hash_that_is_none_is_skipped_counted_and_blocks_nobody(
    upload: Upload, rows: Rows, banned: str, output: Callable[[], str]
) -> None:
    rows("INSERT INTO banned_photo_hashes (photo_hash) VALUES (''), ('not a hash'), ('00000000000000g0'), ('123')")
    assert upload(encoded(corners())) == "ready"
    assert upload(encoded(PHOTO, quality=92)) == "rejected"
    assert '"MalformedBannedHashes":[4' in output().replace(" ", "")


def test_a_look_that_cannot_be_made_lets_nobody_through_and_is_made_again(
    call: Callable[..., Answer], upload: Upload, rows: Rows, banned: str
) -> None:
    rows("ALTER TABLE banned_photo_hashes RENAME photo_hash TO hidden")
    try:
        with pytest.raises(InternalError):
            upload(encoded(corners()))
        assert call("get_photo").body["photo"]["status"] == "processing"
    finally:
        rows("ALTER TABLE banned_photo_hashes RENAME hidden TO photo_hash")


def test_a_host_without_the_table_bans_nothing(upload: Upload, rows: Rows) -> None:
    rows("ALTER TABLE banned_photo_hashes RENAME TO elsewhere")
    try:
        assert upload(encoded(corners())) == "ready"
    finally:
        rows("ALTER TABLE elsewhere RENAME TO banned_photo_hashes")


def test_a_hundred_thousand_banned_photos_are_one_look(rows: Rows, banned: str) -> None:
    rows(
        "INSERT INTO banned_photo_hashes (photo_hash)"
        " SELECT substr(md5(n::text), 1, 16) FROM generate_series(1, 100000) n"
    )
    began = time.perf_counter()
    assert rows("SELECT banned, malformed FROM after_hours_banned_photo(%s, %s)", "0" * 16, banned) == [(True, 0)]
    print(f"{(time.perf_counter() - began) * 1000:.0f} ms")  # noqa: T201 (shown, not judged)


def test_a_release_older_looks_by_one_hash(rows: Rows, banned: str) -> None:
    assert rows("SELECT banned FROM after_hours_banned_photo(%s)", banned) == [(True,)]
    assert rows("SELECT banned FROM after_hours_banned_photo(%s)", f"{~int(banned, 16) & (1 << 64) - 1:016x}") == [
        (False,)
    ]
