"""The exact place of a member is written nowhere: not in a row, not in a file of the database, WAL included."""

import struct
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest

from tests.support.phone import Phone
from tests.support.world import World
from tools.local.workspace import Workspace

LATITUDE, LONGITUDE = 52.52831947, 13.40917253


def numeric(world: World, value: str) -> bytes:
    """The digits of a numeric as PostgreSQL stores them: those that it sends, in the other order of bytes."""
    [(sent,)] = world.rows("SELECT numeric_send(%s::numeric)", value)
    digits = bytes(sent)[8:]
    return struct.pack(f"<{len(digits) // 2}h", *struct.unpack(f">{len(digits) // 2}h", digits))


def files_with(folder: Path, *needles: bytes) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # the server removes files meanwhile
            content = path.read_bytes()
            found += [path] * any(needle in content for needle in needles)
    return found


@pytest.mark.slow
def test_the_exact_place_is_in_no_file_of_the_database_and_an_end_keeps_no_place(
    phone: Phone, world: World, profile: None, workspace: Workspace
) -> None:
    places = "SELECT latitude, longitude, fuzzed_latitude::text, fuzzed_longitude::text FROM after_hours_sessions"
    phone.start(latitude=LATITUDE, longitude=LONGITUDE)
    [(*exact, latitude, longitude)] = world.rows(places)
    assert exact == [None, None]
    assert 0 < abs(float(latitude) - LATITUDE) < 0.01
    assert 0 < abs(float(longitude) - LONGITUDE) < 0.01
    with pytest.raises(psycopg2.errors.CheckViolation, match="after_hours_sessions_place_erased"):
        world.rows("UPDATE after_hours_sessions SET ended_at = now()")
    phone.end()
    assert world.rows(places) == [(None,) * 4]
    phone.start(latitude=LATITUDE, longitude=LONGITUDE)
    world.rows("CHECKPOINT")
    # The same search finds the fuzzed place, so an empty result proves something.
    assert len(files_with(workspace.postgres, numeric(world, latitude))) >= 2  # the table and the WAL
    for place in (LATITUDE, LONGITUDE):
        text = f"{place:.8f}"
        needles = (text.encode(), numeric(world, text), struct.pack("<d", place), struct.pack(">d", place))
        assert files_with(workspace.postgres, *needles) == []
