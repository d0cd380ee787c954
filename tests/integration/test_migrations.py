"""Migrations run on an empty database and beside tables of others, twice, at once, and again after a failure.

One that must wait lets the main app read on; it ends by itself, and a later one goes on from there.
"""

import json
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from after_hours.foundation import secrets
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from migrations import preparation
from migrations.failure import MigrationFailed
from migrations.upgrade import upgrade
from tests.support.databases import DEVICES, EARLIER_TABLES, migrate, reading, run, structure
from tests.support.waiting import until
from tests.support.world import World
from tools.contract import tables
from tools.local import postgres

pytestmark = pytest.mark.slow  # each test migrates a database of its own

LONGEST_READ_SECONDS = 3.0
NO_CONSENT = "ALTER TABLE users DROP after_hours_consent, DROP after_hours_consent_at;"


@contextmanager
def held(database: postgres.Database, statement: str) -> Iterator[Connection]:
    """Leave a transaction open that has run the statement."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield connection


@contextmanager
def migrating(database: postgres.Database) -> Iterator[Future[Any]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(upgrade, database.connect)


# What the migrations make

# An index that is a constraint is described by the constraint.
UNDESCRIBED = """
    SELECT relname FROM pg_class
    WHERE relname LIKE 'after_hours_%' AND relkind IN ('r', 'v') AND relname <> 'after_hours_alembic_version'
        AND obj_description(oid, 'pg_class') IS NULL
    UNION ALL
    SELECT concat_ws('.', relname, attname) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
    WHERE relname LIKE 'after_hours_%' AND relkind = 'r' AND relname <> 'after_hours_alembic_version'
        AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
    UNION ALL
    SELECT indexrelid::regclass::text FROM pg_index
    WHERE indrelid::regclass::text LIKE 'after_hours_%' AND obj_description(indexrelid, 'pg_class') IS NULL
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    UNION ALL
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE proname LIKE 'after_hours_%' AND obj_description(oid, 'pg_proc') IS NULL
"""


def test_docs_schema_sql_is_what_migrations_make_and_describes_each_thing(migrated: postgres.Database) -> None:
    assert tables.FILE.read_text() == tables.text(migrated), "make schema"
    assert run(migrated, UNDESCRIBED) == []


# Beside tables of others


def test_the_role_need_not_own_tables_of_the_main_app(host: postgres.Database) -> None:
    """Nor does a reader of `users`, however long it reads, hold the deployment up."""
    run(
        host,
        f"""
        {DEVICES}
        DROP ROLE IF EXISTS deployment;
        CREATE ROLE deployment LOGIN PASSWORD 'deployment';
        GRANT CREATE ON SCHEMA public TO deployment;
        GRANT SELECT, REFERENCES ON users TO deployment;
        """,
    )
    deployment = replace(host, username="deployment", password="deployment")
    with pytest.raises(MigrationFailed, match="no account can be locked") as failure:
        upgrade(deployment.connect)
    run(host, str(failure.value).partition("runs: ")[2])
    with held(host, "SELECT FROM users"):
        upgrade(deployment.connect)


def test_a_reference_to_sessions_without_an_index_is_named_with_what_mends_it(
    host: postgres.Database, output: Callable[[], str]
) -> None:
    """The table of devices is another role's, and the main app's: it is left alone."""
    run(host, EARLIER_TABLES)
    run(
        host,
        """
        CREATE TABLE matches (session_id UUID REFERENCES after_hours_sessions (id) ON DELETE CASCADE);
        CREATE TABLE reports (session_id UUID REFERENCES after_hours_sessions (id));
        CREATE INDEX ON reports (session_id);
        DROP ROLE IF EXISTS another_role; CREATE ROLE another_role;
        ALTER TABLE device_fingerprints OWNER TO another_role;
        DROP ROLE IF EXISTS ours; CREATE ROLE ours LOGIN PASSWORD 'ours';
        GRANT ALL ON SCHEMA public TO ours; GRANT ALL ON ALL TABLES IN SCHEMA public TO ours;
        ALTER TABLE after_hours_profiles OWNER TO ours; ALTER TABLE after_hours_preferences OWNER TO ours;
        ALTER TABLE after_hours_sessions OWNER TO ours
        """,
    )
    upgrade(replace(host, username="ours", password="ours").connect)
    logged = [json.loads(line) for line in output().splitlines() if line.startswith("{")]
    assert sorted(line["command"] for line in logged if line["message"].startswith("an index is missing")) == [
        "CREATE INDEX CONCURRENTLY ON device_fingerprints (session_id)",
        "CREATE INDEX CONCURRENTLY ON device_fingerprints (user_id)",
        "CREATE INDEX CONCURRENTLY ON matches (session_id)",
    ]
    run(host, "DROP OWNED BY ours, another_role CASCADE; DROP ROLE ours, another_role")


def test_without_the_host_tables_the_migration_fails_and_leaves_nothing(
    new_database: Callable[[str], postgres.Database],
) -> None:
    empty = new_database("empty")
    with pytest.raises(Exception, match="users"):
        upgrade(empty.connect)
    assert run(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_failure_names_the_rule_and_never_the_row(
    world: World, served: postgres.Database, output: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = secrets.DatabaseSecret.model_validate(served.secret)
    monkeypatch.setattr(secrets.database_secret, "read", lambda **_: owner)
    run(served, EARLIER_TABLES)
    migrate(served, "0002")
    run(
        served,
        """
        ALTER TABLE after_hours_preferences ADD CONSTRAINT after_hours_preferences_ages CHECK (max_distance_km <> 10);
        INSERT INTO after_hours_preferences (user_id, interests) VALUES ('local-other', '{rare-interest}')
        """,
    )
    with pytest.raises(MigrationFailed) as failure:
        world.run("migrate_database")
    broken = "table after_hours_preferences, constraint after_hours_preferences_ages"
    assert str(failure.value) == f"CheckViolation 23514, {broken}"
    written = output() + "".join(traceback.format_exception(failure.value))
    assert "0003_rules_in_the_database.py" in written
    assert "rare-interest" not in written
    assert "local-other" not in written


# Waiting


def test_deployments_at_once_wait_for_each_other_and_a_later_one_changes_nothing(host: postgres.Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: upgrade(host.connect), range(2))
    assert first == second == upgrade(host.connect)
    with (
        held(host, "SELECT pg_advisory_lock(CAST(x'AF7E4' AS integer))"),
        pytest.raises(MigrationFailed, match="has not ended within 1 s"),
    ):
        upgrade(host.connect, limit_seconds=1)


@pytest.mark.parametrize(("passed", "table"), [(None, "users"), ("0008", "after_hours_profiles")])
def test_reads_go_on_while_another_transaction_is_idle(
    host: postgres.Database, output: Callable[[], str], passed: str | None, table: str
) -> None:
    if passed:
        upgrade(host.connect, passed)
    else:
        run(host, NO_CONSENT)
    with (
        held(host, f"SELECT FROM {table}") as other,
        reading(host, f"SELECT count(*) FROM {table}") as seconds,
        migrating(host) as migration,
    ):
        until(lambda: "another transaction has a lock that the migration needs" in output())
        other.rollback()
        migration.result()
    assert max(seconds) < LONGEST_READ_SECONDS


def test_it_ends_when_the_other_transaction_does_not_and_a_later_one_finishes(
    host: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    run(host, NO_CONSENT)
    with held(host, "SELECT FROM users"), pytest.raises(MigrationFailed, match="has not ended within 3 s"):
        upgrade(host.connect, limit_seconds=3)
    upgrade(host.connect)
    assert structure(host) == new_structure
    consents = "SELECT DISTINCT after_hours_consent, after_hours_consent_at FROM users"
    assert run(host, consents) == [{"after_hours_consent": False, "after_hours_consent_at": None}]


# The earlier backend wrote UTC, wherever the server is.
EARLIER_SESSIONS = """
    ALTER DATABASE host SET timezone = 'America/New_York';
    ALTER TABLE after_hours_sessions DISABLE TRIGGER ALL;
    INSERT INTO after_hours_sessions
        (user_id, started_at, expires_at, ended_at, created_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude)
    SELECT 'local-other', noon, noon, noon, noon, 1, 1, 1, 1
    FROM generate_series(1, 50000), CAST('2026-07-01 12:00Z' AS TIMESTAMPTZ) AS noon;
    ALTER TABLE after_hours_sessions ENABLE TRIGGER ALL;
    SET TimeZone = 'UTC';
    ALTER TABLE after_hours_profiles ALTER created_at TYPE TIMESTAMP, ALTER updated_at TYPE TIMESTAMP;
    ALTER TABLE after_hours_preferences ALTER created_at TYPE TIMESTAMP, ALTER updated_at TYPE TIMESTAMP;
    ALTER TABLE after_hours_sessions
        ALTER started_at TYPE TIMESTAMP, ALTER expires_at TYPE TIMESTAMP, ALTER ended_at TYPE TIMESTAMP,
        ALTER created_at TYPE TIMESTAMP;
"""


def test_times_without_a_zone_are_read_as_utc_and_no_table_is_rewritten(
    host: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    """To rewrite a million sessions would take longer than a read of the main app may wait."""
    file = "SELECT pg_relation_filenode('after_hours_sessions') AS file"
    run(host, EARLIER_TABLES + EARLIER_SESSIONS + NO_CONSENT)
    before = run(host, file)
    with reading(host, "SELECT count(*) FROM users") as seconds:
        upgrade(host.connect)
    assert run(host, file) == before
    assert max(seconds) < LONGEST_READ_SECONDS
    assert structure(host) == new_structure
    times = ("started_at", "expires_at", "ended_at", "created_at")
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert run(host, f"SELECT DISTINCT {', '.join(times)} FROM after_hours_sessions") == [dict.fromkeys(times, noon)]


def test_a_reference_that_was_not_checked_yet_is_checked_by_the_next_migration(host: postgres.Database) -> None:
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


WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.parametrize(("passed", "waited_for"), [(None, "SELECT FROM users"), ("0008", OPEN_SESSION)])
def test_a_backend_that_is_killed_is_a_failed_migration(
    host: postgres.Database, passed: str | None, waited_for: str
) -> None:
    if passed:
        upgrade(host.connect, passed)
    else:
        run(host, NO_CONSENT)
    with held(host, waited_for), migrating(host) as migration:
        until(lambda: run(host, WAITING))
        run(host, f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
        with pytest.raises(MigrationFailed, match=r"^(OperationalError: the connection broke|AdminShutdown 57P01)$"):
            migration.result()
    upgrade(host.connect)
