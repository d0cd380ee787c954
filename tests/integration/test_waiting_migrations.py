"""A migration that must wait lets the main app read on; it ends by itself, and a later one goes on from there."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from migrations import preparation
from migrations.failure import MigrationFailed
from migrations.upgrade import upgrade
from tests.support.earlier_backend import EARLIER_TABLES, run, structure
from tests.support.waiting import until
from tools.local import postgres

LONGEST_READ_SECONDS = 3.0
NO_CONSENT = "ALTER TABLE users DROP after_hours_consent, DROP after_hours_consent_at;"


@contextmanager
def held(database: postgres.Database, statement: str) -> Iterator[Connection]:
    """Leave a transaction open that has run the statement."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield connection


@contextmanager
def reading(database: postgres.Database, statement: str) -> Iterator[list[float]]:
    """Run the statement again and again meanwhile. The list is of the seconds that each took."""
    seconds: list[float] = []
    done = Event()

    def read() -> None:
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while not done.wait(0.05):
                began = time.monotonic()
                cursor.execute(statement)
                seconds.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            yield seconds
        finally:
            done.set()
            reader.result()


@contextmanager
def migrating(database: postgres.Database) -> Iterator[Future[Any]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(upgrade, database.connect)


WAITING = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.mark.parametrize(
    ("passed", "idle", "table"),
    [
        (None, "SELECT FROM users", "users"),
        ("0008", "SELECT FROM after_hours_profiles", "after_hours_profiles"),
    ],
)
def test_reads_go_on_while_another_transaction_is_idle(
    host: postgres.Database, output: Callable[[], str], passed: str | None, idle: str, table: str
) -> None:
    if passed:
        upgrade(host.connect, passed)
    else:
        run(host, NO_CONSENT)
    with (
        held(host, idle) as other,
        reading(host, f"SELECT count(*) FROM {table}") as seconds,
        migrating(host) as migration,
    ):
        until(lambda: output().count("another transaction has a lock that the migration needs") >= 1)
        other.rollback()
        migration.result()
    assert max(seconds) < LONGEST_READ_SECONDS


def test_it_ends_when_the_other_transaction_does_not_and_a_later_one_finishes(
    host: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    run(host, NO_CONSENT)
    with (
        held(host, "SELECT FROM users"),
        reading(host, "SELECT count(*) FROM users") as seconds,
        pytest.raises(MigrationFailed, match="has not ended within 3 s"),
    ):
        upgrade(host.connect, limit_seconds=3)
    assert max(seconds) < LONGEST_READ_SECONDS
    upgrade(host.connect)
    assert structure(host) == new_structure


EARLIER_SESSIONS = """
ALTER TABLE after_hours_sessions DISABLE TRIGGER ALL;
INSERT INTO after_hours_sessions
    (user_id, started_at, expires_at, ended_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude)
SELECT 'local-other', started_at, started_at + interval '1 hour', started_at + interval '1 hour', 1, 1, 1, 1
FROM generate_series(1, 100000) AS age, LATERAL (SELECT now() - age * interval '1 minute' AS started_at) AS start;
ALTER TABLE after_hours_sessions ENABLE TRIGGER ALL;
ALTER TABLE after_hours_sessions
    ALTER started_at TYPE TIMESTAMP, ALTER expires_at TYPE TIMESTAMP, ALTER ended_at TYPE TIMESTAMP,
    ALTER created_at TYPE TIMESTAMP;
"""


@pytest.mark.slow
def test_reads_go_on_beside_many_earlier_sessions_for_no_table_is_rewritten(
    host: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    """To rewrite a million sessions would take longer than a read of the main app may wait."""
    file = "SELECT pg_relation_filenode('after_hours_sessions') AS file"
    run(host, NO_CONSENT + EARLIER_TABLES + EARLIER_SESSIONS)
    before = run(host, file)
    with reading(host, "SELECT count(*) FROM users") as seconds:
        upgrade(host.connect)
    assert run(host, file) == before
    assert max(seconds) < LONGEST_READ_SECONDS
    assert structure(host) == new_structure


def test_a_reference_that_was_not_looked_at_yet_is_looked_at_by_the_next_migration(host: postgres.Database) -> None:
    run(host, EARLIER_TABLES + "ALTER TABLE device_fingerprints DROP session_id")
    [command] = run(host, preparation._COLUMNS_OF_DEVICES)
    run(host, command["format"])
    upgrade(host.connect)
    reference = "FROM pg_constraint WHERE contype = 'f' AND conrelid = 'device_fingerprints'::regclass"
    assert run(host, f"SELECT convalidated, confdeltype {reference}") == [{"convalidated": True, "confdeltype": "c"}]


OPEN_SESSION = "INSERT INTO after_hours_sessions (user_id, expires_at) VALUES ('local-other', now())"
INVALID_INDEXES = "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid"


def test_the_building_of_an_index_ends_and_a_later_migration_builds_it(host: postgres.Database) -> None:
    upgrade(host.connect, "0008")
    with (
        held(host, OPEN_SESSION),
        pytest.raises(MigrationFailed, match=r"has not ended within 3 s: .*\(QueryCanceled 57014\)"),
    ):
        upgrade(host.connect, limit_seconds=3)
    assert run(host, INVALID_INDEXES) == [{"name": "after_hours_sessions_of_user"}]
    upgrade(host.connect)
    assert run(host, INVALID_INDEXES) == []


def test_it_does_not_wait_for_ever_for_another_deployment(host: postgres.Database) -> None:
    with (
        held(host, "SELECT pg_advisory_lock(CAST(x'AF7E4' AS integer))"),
        pytest.raises(MigrationFailed, match="has not ended within 1 s"),
    ):
        upgrade(host.connect, limit_seconds=1)


@pytest.mark.parametrize(
    ("passed", "waited_for"),
    [("base", "SELECT FROM users"), ("0008", OPEN_SESSION)],
)
def test_a_backend_that_is_killed_is_a_failed_migration(host: postgres.Database, passed: str, waited_for: str) -> None:
    if passed == "base":
        run(host, NO_CONSENT)
    else:
        upgrade(host.connect, passed)
    with held(host, waited_for), migrating(host) as migration:
        until(lambda: run(host, WAITING))
        run(host, f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
        with pytest.raises(MigrationFailed, match=r"^(OperationalError: the connection broke|AdminShutdown 57P01)$"):
            migration.result()
    upgrade(host.connect)
