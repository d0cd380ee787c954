"""What PostgreSQL itself writes down when a statement fails holds nothing of a member.

psycopg2 puts parameters into the statement as literals: a statement in the log would be a place in the log.
"""

from collections.abc import Callable
from contextlib import closing

import pytest
from after_hours.foundation.database import Database
from after_hours.foundation.faults import DatabaseUnavailable, InternalError

from tests.support.world import World
from tools.local.workspace import Workspace

LATITUDE, TEXT = 52.5200637, "a text for the server alone"
START = """
    INSERT INTO after_hours_sessions (user_id, expires_at, latitude, longitude)
    VALUES (%(user_id)s, now(), %(latitude)s, %(longitude)s)
"""
SESSION = {"user_id": "local-entitled", "latitude": LATITUDE, "longitude": 13.4}


@pytest.fixture
def log(workspace: Workspace) -> Callable[[], str]:
    path = workspace.logs / "postgresql.log"
    start = path.stat().st_size

    def read() -> str:
        return path.read_bytes()[start:].decode()

    return read


def test_a_statement_that_fails_is_not_quoted(world: World, connection: Database, log: Callable[[], str]) -> None:
    with pytest.raises(InternalError):
        connection.execute(START, SESSION | {"longitude": 181})
    describe = "INSERT INTO after_hours_profiles (user_id, description) VALUES ('local-entitled', %(text)s)"
    connection.execute(describe, {"text": TEXT})
    with pytest.raises(InternalError):
        connection.execute(describe, {"text": TEXT})
    connection.execute(START, SESSION)
    connection.execute("SET lock_timeout = '50ms'")
    with closing(world.database.connect()) as other, other.cursor() as cursor:
        cursor.execute("SELECT FROM after_hours_sessions FOR UPDATE")
        with pytest.raises(DatabaseUnavailable):
            connection.execute("UPDATE after_hours_sessions SET latitude = %(latitude)s", {"latitude": LATITUDE})
    written = log()
    for reason in ('check constraint "after_hours_sessions_location"', "duplicate key value", "due to lock timeout"):
        assert reason in written
    assert str(LATITUDE) not in written
    assert TEXT not in written
