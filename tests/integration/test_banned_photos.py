"""A photo that the main app has banned is refused, however it was changed. No photo is shown unchecked."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
from after_hours.foundation.faults import InternalError
from after_hours.images import pipeline
from PIL import ImageOps
from psycopg2.errors import ProgramLimitExceeded

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


def test_a_banned_photo_is_refused_however_it_was_changed_and_the_one_before_it_stays(
    phone: Phone, world: World, upload: Upload, banned: str
) -> None:
    """The hash of the photo that is shown is kept, and goes with it.

    That more versions of a photo look alike is a matter of tests/unit/test_images_fingerprint.py.
    """
    assert upload(encoded(corners())) == "ready"
    before = world.rows("SELECT photo_url, photo_hash FROM after_hours_profiles")
    assert before[0][1] == pipeline.process(encoded(corners())).photo_hash
    assert upload(encoded(ImageOps.flip(ImageOps.expand(PHOTO, 60, "white")), quality=85)) == "rejected"
    photo = phone.photo()
    assert (photo.status, photo.reason) == ("rejected", "NOT_ALLOWED")
    assert world.rows("SELECT photo_url, photo_hash FROM after_hours_profiles") == before
    phone.delete_photo()
    assert world.rows("SELECT photo_hash FROM after_hours_profiles") == [(None,)]


def test_a_malformed_hash_is_skipped_and_counted_and_blocks_no_photo(
    world: World, upload: Upload, banned: str, output: Callable[[], str]
) -> None:
    world.rows(
        "INSERT INTO banned_photo_hashes (photo_hash) VALUES"
        " (''), ('not a hash'), ('00000000000000g0'), ('123'), ('éééééééé'), (%s), (E'123456789abcdef\\n')",
        "é" * 16,
    )
    assert upload(encoded(corners())) == "ready"
    assert upload(encoded(PHOTO, quality=92)) == "rejected"
    assert '"MalformedBannedHashes":[7' in output().replace(" ", "")


LOOK = "FUNCTION after_hours_banned_photo(TEXT[], BIGINT)"
# Changes of the main app's table, how to undo them, and the status of a banned photo then. The table is read with the
# rights of our tables' owner, who need not own it.
TABLES = {
    "no table": (
        "ALTER TABLE banned_photo_hashes RENAME TO elsewhere",
        "ALTER TABLE elsewhere RENAME TO banned_photo_hashes",
        "ready",
    ),
    "parts": (
        """
        ALTER TABLE banned_photo_hashes RENAME TO plain;
        CREATE TABLE banned_photo_hashes (LIKE plain) PARTITION BY HASH (photo_hash);
        CREATE TABLE part_0 PARTITION OF banned_photo_hashes FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE part_1 PARTITION OF banned_photo_hashes FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO banned_photo_hashes SELECT * FROM plain
        """,
        "DROP TABLE banned_photo_hashes; ALTER TABLE plain RENAME TO banned_photo_hashes",
        "rejected",
    ),
    "rows that are hidden": (
        f"""
        DROP ROLE IF EXISTS keeper; CREATE ROLE keeper; GRANT SELECT ON banned_photo_hashes TO keeper;
        ALTER {LOOK} OWNER TO keeper; ALTER TABLE banned_photo_hashes ENABLE ROW LEVEL SECURITY
        """,
        f"""
        ALTER {LOOK} OWNER TO CURRENT_USER; ALTER TABLE banned_photo_hashes DISABLE ROW LEVEL SECURITY;
        DROP OWNED BY keeper; DROP ROLE keeper
        """,
        "processing",
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_whatever_the_main_app_does_to_its_table_a_check_that_fails_lets_no_photo_through(
    phone: Phone, world: World, upload: Upload, banned: str, table: str
) -> None:
    """S3's event comes back then."""
    begin, undo, outcome = TABLES[table]
    world.rows(begin)
    try:
        with pytest.raises(InternalError) if outcome == "processing" else nullcontext():
            upload(encoded(PHOTO, quality=92))
        assert phone.photo().status == outcome
    finally:
        world.rows(undo)


def test_a_large_table_is_read_in_parts_and_to_its_end(world: World, upload: Upload, banned: str) -> None:
    """Its last row is the banned one. A statement that reads all of it would take longer than the timeout, at last."""
    world.rows(
        "TRUNCATE banned_photo_hashes; ALTER TABLE banned_photo_hashes SET (fillfactor = 10);"
        "INSERT INTO banned_photo_hashes (photo_hash)"
        " SELECT substr(md5(n::text), 1, 16) FROM generate_series(1, 40000) n;"
        "ALTER TABLE banned_photo_hashes RESET (fillfactor)"
    )
    world.rows("INSERT INTO banned_photo_hashes (photo_hash) VALUES (%s)", banned)
    parts, page = 0, 0
    while page is not None:
        [(found, malformed, page)] = world.rows("SELECT * FROM after_hours_banned_photo(ARRAY[%s], %s)", banned, page)
        assert (found, malformed) == (page is None, 0)
        parts += 1
    assert parts > 1
    assert upload(encoded(PHOTO, quality=92)) == "rejected"


def test_each_of_sixteen_hashes_is_looked_for_and_no_more_are_taken(world: World, banned: str) -> None:
    """The first of each four may differ in 9 bits; the others are of a turned picture, and may in 7."""

    def differing(bits: int) -> str:
        return f"{int(banned, 16) ^ (1 << bits) - 1:016x}"

    look = "SELECT banned FROM after_hours_banned_photo(%s::text[], 0)"
    far = [differing(32)] * 16
    for place in range(16):
        most = 7 if place % 4 else 9
        for bits in (most, most + 1):
            hashes = [*far[:place], differing(bits).upper(), *far[place + 1 :]]
            assert world.rows(look, hashes) == [(bits == most,)], (place, bits)
    for refused in (None, [], far * 2):
        with pytest.raises(ProgramLimitExceeded):
            world.rows(look, refused)
