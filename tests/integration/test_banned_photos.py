"""A photo that the main app has banned is refused, however it was changed. No photo is shown unchecked."""

from collections.abc import Callable, Iterator

import pytest
from after_hours.foundation.faults import InternalError
from after_hours.images import pipeline
from PIL import ImageOps

from tests.support.phone import Phone
from tests.support.world import World
from tools.pictures.files import corners, encoded
from tools.pictures.photograph import photograph

pytestmark = pytest.mark.slow  # pictures

type Upload = Callable[[bytes], str]

ID = "local-entitled"
PHOTO = photograph(1200, 900)


@pytest.fixture
def upload(phone: Phone, world: World, profile: None) -> Upload:
    """Upload a file, and process its event. Returns the outcome."""
    return lambda content: world.arrive(phone.send(content), len(content))


@pytest.fixture
def banned(world: World) -> Iterator[str]:
    """The hash of the photo, banned."""
    photo_hash = pipeline.process(encoded(PHOTO, quality=92)).photo_hash
    world.rows("TRUNCATE banned_photo_hashes")
    world.rows("INSERT INTO banned_photo_hashes (photo_hash) VALUES (%s)", photo_hash)
    yield photo_hash
    world.rows("TRUNCATE banned_photo_hashes")


def test_a_banned_photo_is_refused_though_it_was_changed_and_the_one_before_it_stays(
    phone: Phone, world: World, upload: Upload, banned: str, output: Callable[[], str]
) -> None:
    """A malformed hash is counted, and blocks no photo. The hash of the photo that is shown is kept, and goes with it.

    That more versions of a photo look alike is a matter of tests/unit/test_images_fingerprint.py.
    """
    world.rows(
        "INSERT INTO banned_photo_hashes (photo_hash) VALUES (''), ('00000000000000g0'), ('123'), (%s)", "é" * 16
    )
    assert upload(encoded(corners())) == "ready"
    before = world.rows("SELECT photo_url, photo_hash FROM after_hours_profiles")
    assert before[0][1] == pipeline.process(encoded(corners())).photo_hash
    assert upload(encoded(ImageOps.flip(ImageOps.expand(PHOTO, 60, "white")), quality=85)) == "rejected"
    assert '"MalformedBannedHashes":[4' in output().replace(" ", "")
    photo = phone.photo()
    assert (photo.status, photo.reason) == ("rejected", "NOT_ALLOWED")
    assert world.rows("SELECT photo_url, photo_hash FROM after_hours_profiles") == before
    phone.delete_photo()
    assert world.rows("SELECT photo_hash FROM after_hours_profiles") == [(None,)]


@pytest.mark.usefixtures("banned")
def test_a_check_that_fails_lets_no_photo_through_and_without_a_table_no_photo_is_banned(
    phone: Phone, world: World, upload: Upload
) -> None:
    """After a failure S3's event comes back."""
    world.rows("ALTER TABLE banned_photo_hashes RENAME photo_hash TO renamed")
    try:
        with pytest.raises(InternalError):
            upload(encoded(PHOTO, quality=92))
        assert phone.photo().status == "processing"
    finally:
        world.rows("ALTER TABLE banned_photo_hashes RENAME renamed TO photo_hash")
    world.rows("ALTER TABLE banned_photo_hashes RENAME TO elsewhere")
    try:
        assert upload(encoded(PHOTO, quality=92)) == "ready"
    finally:
        world.rows("ALTER TABLE elsewhere RENAME TO banned_photo_hashes")


def test_a_large_table_is_read_in_parts_and_to_its_end(world: World, upload: Upload, banned: str) -> None:
    """Its last row is the banned one. A statement that reads all of it would take longer than the timeout, at last."""
    world.rows(
        "TRUNCATE banned_photo_hashes; ALTER TABLE banned_photo_hashes SET (fillfactor = 10);"
        "INSERT INTO banned_photo_hashes (photo_hash)"
        " SELECT substr(md5(n::text), 1, 16) FROM generate_series(1, 40000) n;"
        "ALTER TABLE banned_photo_hashes RESET (fillfactor)"
    )
    world.rows("INSERT INTO banned_photo_hashes (photo_hash) VALUES (%s)", banned)
    [(found, page)] = world.rows("SELECT banned, next_page FROM after_hours_banned_photo(ARRAY[%s], 0)", banned)
    assert (found, page is None) == (False, False)
    assert upload(encoded(PHOTO, quality=92)) == "rejected"
