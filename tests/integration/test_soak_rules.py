"""Each rule of the soak finds the violation that it is for. One is planted at a time, past all that refuses it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812 (a class)

from tests.support.scratch import REPOSITORY
from tests.support.world import World
from tools.local import postgres
from tools.soak.rules import ALWAYS, AT_REST

AUDIT = (REPOSITORY / "tools/soak/audit.sql").read_text()
# What the database itself refuses is let in: the soak looks whether a fault gets past that, too.
UNGUARDED = """
    ALTER TABLE after_hours_sessions DROP CONSTRAINT after_hours_sessions_place_erased;
    DROP INDEX idx_after_hours_sessions_active_user
"""
PAYLOADS = {
    "event": '{"type": "T", "occurredAt": "", "detail": {}}',
    "schedules": '{"expiresAt": null}',
    "uploads": "{}",
    "r2": "{}",
}


def session(start: str, end: str, *, ended: str = "NULL", place: str = "NULL", who: str = "local-entitled") -> str:
    columns = "user_id, started_at, expires_at, ended_at, fuzzed_latitude, fuzzed_longitude"
    times = f"now() + interval '{start}', now() + interval '{end}', {ended}"
    return f"INSERT INTO after_hours_sessions ({columns}) VALUES ('{who}', {times}, {place}, {place})"


def task(kind: str, due: str, attempts: int = 0) -> str:
    return (
        "INSERT INTO after_hours_outbox (kind, key, payload, due_at, attempts)"
        f" VALUES ('{kind}', 'a key', '{PAYLOADS[kind]}', now() + interval '{due}', {attempts})"
    )


def upload(requested: str, *, status: str = "pending", changed: str = "0", leased: str = "NULL") -> str:
    return (
        "INSERT INTO after_hours_photo_uploads (user_id, id, status, requested_at, changed_at, leased_until) VALUES"
        f" ('local-entitled', gen_random_uuid(), '{status}', now() - interval '{requested}',"
        f" now() - interval '{changed}', {leased})"
    )


PROFILE = "INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled');"
PLANTED = {
    "has two open sessions": session("0", "1 hour") + ";" + session("0", "2 hours"),
    "is an ended session with a place": session("-2 hours", "-1 hour", ended="now() - interval '1 hour'", place="52.5"),
    "is a session that was ended before its end": "SELECT soak.note('ended too early', 'a', 'b')",
    "is a photo that two functions made at once": "SELECT soak.note('claimed twice', 'a', 'b')",
    "is an upload leased for more than a minute": upload(
        "0", status="processing", leased="now() + interval '2 minutes'"
    ),
    "is an event that waits for more than ten minutes": task("event", "11 minutes", 9),
    "is a failed deletion that waits for more than ten minutes": task("r2", "11 minutes", 9),
    "is a deletion that waits for more than a day": task("uploads", "25 hours"),
    "is a session whose schedules wait for more than ten minutes": task("schedules", "11 minutes", 9),
    "is a session that is open past its end": session("-1 hour", "-1 minute"),
    "is the session of someone who may not be live": PROFILE.replace("entitled", "noPremium")
    + session("0", "1 hour", who="local-noPremium"),
    "is a session that ends in minutes, of which nobody was warned": PROFILE + session("-1 hour", "4 minutes"),
    "is a session with an exact place": session("0", "1 hour")
    + ";UPDATE after_hours_sessions SET latitude = 52.5, longitude = 13.4",
    "is an event that was not sent": task("event", "-1 minute"),
    "is a session with wrong schedules": task("schedules", "1 minute"),
    "is an upload in which nothing has happened for a quarter of an hour": upload("17 minutes", changed="17 minutes"),
    "is an object that must be deleted": task("r2", "-1 minute"),
    "is an upload that a newer one replaced a day ago": upload("26 hours") + ";" + upload("0"),
    "is a session of someone who left more than an hour ago": session(
        "-5 hours", "-4 hours", ended="now() - interval '4 hours'"
    )
    + """;UPDATE after_hours_sessions SET created_at = now() - interval '5 hours';
    INSERT INTO soak.changes (what, user_id, at) VALUES ('left', 'local-entitled', now() - interval '3 hours')""",
    "is a session that ended more than ninety days ago": session(
        "-92 days", "-91 days", ended="now() - interval '91 days'"
    ),
    "is the device of a session that is gone": (
        "INSERT INTO device_fingerprints (id, user_id, session_id)"
        " VALUES (gen_random_uuid(), 'local-entitled', gen_random_uuid())"
    ),
}


@pytest.fixture
def cursor(world: World, migrated: postgres.Database) -> Iterator[Cursor]:
    """A transaction that is rolled back, in which no trigger runs and no reference is checked."""
    with closing(migrated.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(AUDIT)
        cursor.execute(UNGUARDED)
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        connection.rollback()


def test_a_violation_of_every_rule_is_planted() -> None:
    assert PLANTED.keys() == ALWAYS.keys() | AT_REST.keys()


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_violation_is_found(cursor: Cursor, rule: str) -> None:
    statement = (ALWAYS | AT_REST)[rule].replace("%%", "%")
    cursor.execute(statement)
    assert cursor.fetchall() == []
    cursor.execute(PLANTED[rule])
    cursor.execute(statement)
    assert cursor.fetchall() != []
