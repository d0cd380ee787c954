"""What PostgreSQL itself writes down when a statement fails holds nothing of a member.

psycopg2 puts parameters into the statement as literals: a statement in the log would be a place in the log.
"""

from collections.abc import Callable

import pytest
from after_hours.foundation.database import Database
from after_hours.foundation.faults import DatabaseUnavailable, InternalError

from tests.support.world import World
from tools.local.workspace import Workspace

LATITUDE, TEXT, DEVICE = 52.5200637, "a text for the server alone", "device-0815"
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


def test_a_row_that_breaks_a_rule_is_not_quoted(connection: Database, log: Callable[[], str]) -> None:
    with pytest.raises(InternalError):
        connection.execute(START, SESSION | {"longitude": 181})
    assert 'violates check constraint "after_hours_sessions_location"' in log()
    assert str(LATITUDE) not in log()


def test_a_duplicate_row_is_not_quoted(connection: Database, log: Callable[[], str]) -> None:
    describe = "INSERT INTO after_hours_profiles (user_id, description) VALUES ('local-entitled', %(text)s)"
    connection.execute(describe, {"text": TEXT})
    with pytest.raises(InternalError):
        connection.execute(describe, {"text": TEXT})
    assert "duplicate key value" in log()
    assert TEXT not in log()


def test_a_statement_that_times_out_at_a_lock_is_not_quoted(
    world: World, connection: Database, log: Callable[[], str]
) -> None:
    connection.execute(START, SESSION)
    connection.execute("SET lock_timeout = '50ms'")
    other = world.database.connect()
    with other.cursor() as cursor:
        cursor.execute("SELECT FROM after_hours_sessions FOR UPDATE")
    with pytest.raises(DatabaseUnavailable):
        connection.execute(
            "UPDATE after_hours_sessions SET latitude = %(latitude)s WHERE %(device)s <> ''",
            {"latitude": LATITUDE, "device": DEVICE},
        )
    other.close()
    assert "canceling statement due to lock timeout" in log()
    assert str(LATITUDE) not in log()
    assert DEVICE not in log()
