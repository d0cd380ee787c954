"""Migrations run on an empty database and beside tables of others, twice, at once, and again after a failure.

One that must wait lets the main app read on; it ends by itself, and a later one goes on from there.
"""

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from after_hours.foundation import secrets
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from migrations.failure import MigrationFailed
from migrations.upgrade import upgrade
from tests.support.databases import EARLIER_ROWS, EARLIER_TABLES, migrate, reading, run, structure
from tests.support.phone import Phone
from tests.support.waiting import until
from tests.support.world import World
from tools.contract import tables
from tools.local import postgres

pytestmark = pytest.mark.slow  # each test migrates a database of its own

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


# The tables of an earlier backend: no row is lost, and odd tables are mended. The repair of rows that break a rule has
# been released, and a hash in tests/unit/test_migrations.py keeps it as it is.

# Columns that we do not fill and rules that contradict ours. The table of devices may be the main app's, and keeps its
# rules.
ODD_TABLES = """
    ALTER TABLE after_hours_profiles ADD mood TEXT NOT NULL, ALTER description SET NOT NULL,
        ALTER description TYPE VARCHAR(20), ALTER created_at TYPE TIMESTAMP,
        ADD CONSTRAINT short CHECK (char_length(description) < 9);
    ALTER TABLE after_hours_preferences ADD CHECK (max_age <= 21),
        ADD CONSTRAINT after_hours_preferences_ages CHECK (min_age > 18);
    ALTER TABLE after_hours_sessions ALTER latitude SET NOT NULL, ALTER started_at TYPE TIMESTAMP,
        ADD CONSTRAINT "Both: 100%" CHECK (latitude IS NOT NULL) NOT VALID;
    ALTER TABLE device_fingerprints ALTER device_model SET NOT NULL, ADD updated_at TIMESTAMPTZ NOT NULL,
        ADD kind TEXT NOT NULL DEFAULT 'phone', ADD CONSTRAINT theirs UNIQUE (user_id, device_id),
        ADD CONSTRAINT platforms CHECK (platform IN ('ios', 'android'));
"""
MISSING = """
    ALTER TABLE after_hours_profiles DROP description, DROP updated_at;
    ALTER TABLE after_hours_preferences DROP created_at, DROP updated_at, DROP interests, DROP sexual_orientation;
    ALTER TABLE after_hours_sessions DROP fuzzed_latitude, DROP fuzzed_longitude, DROP created_at, DROP started_at;
    ALTER TABLE device_fingerprints DROP platform, DROP session_id, DROP device_model, DROP created_at;
"""

TABLES = ("after_hours_profiles", "after_hours_preferences", "after_hours_sessions", "device_fingerprints")
NOT_VALIDATED = "SELECT FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
ENDED = """
    UPDATE after_hours_sessions SET
        ended_at = now(), latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL
"""


@pytest.mark.parametrize("tables", [EARLIER_ROWS, EARLIER_ROWS + MISSING, ODD_TABLES])
def test_tables_are_made_to_fit_lose_no_value_and_serve_every_endpoint(
    phone: Phone, served: postgres.Database, new_structure: list[tuple[Any, ...]], tables: str
) -> None:
    run(served, EARLIER_TABLES + tables)
    before = {table: run(served, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES}
    migrate(served)
    for table, rows in before.items():
        for old, new in zip(rows, run(served, f"SELECT * FROM {table} ORDER BY 1"), strict=True):
            assert {name: value for name, value in old.items() if value is not None}.items() <= new.items()
    found = structure(served)
    assert set(new_structure) <= set(found)
    assert {row for row in found if row[2].startswith("CHECK")} <= set(new_structure)
    assert run(served, NOT_VALIDATED) == []
    run(served, ENDED)
    if tables == ODD_TABLES:
        phone.create_profile()
        phone.create_preferences()
    phone.profile()
    phone.update_profile(description="d" * 500)
    phone.preferences()
    phone.update_preferences(maxAge=30, seekingGender="Non-binary")
    for _ in range(2):  # with the same device
        phone.start()
        phone.extend()
        assert phone.session()
        phone.end()
    phone.leave()
    phone.create_profile()
    phone.create_preferences()


# Beside tables of others


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


def test_reads_go_on_while_another_transaction_is_idle(host: postgres.Database, output: Callable[[], str]) -> None:
    run(host, NO_CONSENT)
    with (
        held(host, "SELECT FROM users") as other,
        reading(host, "SELECT count(*) FROM users") as seconds,
        migrating(host) as migration,
    ):
        until(lambda: "another transaction has a lock that the migration needs" in output())
        other.rollback()
        migration.result()
    assert max(seconds) < 3


WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
OPEN_SESSION = "INSERT INTO after_hours_sessions (user_id, expires_at) VALUES ('local-other', now())"


@pytest.mark.parametrize(("passed", "waited_for"), [(None, "SELECT FROM users"), ("0008", OPEN_SESSION)])
def test_a_migration_that_must_wait_too_long_or_is_killed_fails_and_a_later_one_finishes(
    host: postgres.Database, new_structure: list[tuple[Any, ...]], passed: str | None, waited_for: str
) -> None:
    """The second one builds an index CONCURRENTLY. What is left of it is not valid, and must be built anew."""
    if passed:
        upgrade(host.connect, passed)
    else:
        run(host, NO_CONSENT)
    with held(host, waited_for):
        with pytest.raises(MigrationFailed, match="has not ended within 1 s"):
            upgrade(host.connect, limit_seconds=1)
        with migrating(host) as migration:
            until(lambda: run(host, WAITING))
            run(host, f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
            with pytest.raises(MigrationFailed, match=r"^(OperationalError: the connection|AdminShutdown 57P01)"):
                migration.result()
    upgrade(host.connect)
    assert structure(host) == new_structure
    assert run(host, "SELECT FROM pg_index WHERE NOT indisvalid") == []


WITHOUT_A_ZONE = """
    ALTER DATABASE host SET timezone = 'America/New_York';
    SET TimeZone = 'UTC';
    ALTER TABLE after_hours_profiles ALTER created_at TYPE TIMESTAMP, ALTER updated_at TYPE TIMESTAMP;
    ALTER TABLE after_hours_sessions
        ALTER started_at TYPE TIMESTAMP, ALTER expires_at TYPE TIMESTAMP, ALTER ended_at TYPE TIMESTAMP;
"""


def test_times_without_a_zone_are_read_as_utc_and_no_table_is_rewritten(
    host: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    """The earlier backend wrote UTC, wherever the server is. To rewrite a million sessions would stop the main app."""
    file = "SELECT pg_relation_filenode('after_hours_sessions') AS file"
    run(host, EARLIER_TABLES + EARLIER_ROWS + WITHOUT_A_ZONE)
    before = run(host, file)
    upgrade(host.connect)
    assert run(host, file) == before
    assert structure(host) == new_structure
    [session] = run(host, "SELECT started_at, expires_at FROM after_hours_sessions WHERE user_id = 'local-other'")
    assert [*session.values()] == [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)]


# The release before has left work of each kind in its own tables.
EVENT = "SELECT after_hours_tell('PhotoReady', '{\"photoId\": \"1\"}', interval '30 seconds')"
DELETIONS = "SELECT after_hours_must_go(ARRAY['r2', 'uploads'], ARRAY['key', 'key'], interval '30 seconds')"
SESSION = """
    INSERT INTO after_hours_sessions (user_id, started_at, expires_at)
    VALUES ('local-{}', now(), now() + interval '30 minutes') RETURNING id::text
"""
FAILED = "UPDATE after_hours_domain_events SET attempts = 3, due_at = '2030-01-01Z' RETURNING id::text"


def test_work_of_the_release_before_is_moved_to_the_outbox_also_what_is_not_committed_yet(
    host: postgres.Database,
) -> None:
    """An event keeps its id, its content and its attempts."""
    upgrade(host.connect, "0022")
    run(host, EVENT)
    [failed] = run(host, FAILED)
    [session] = run(host, SESSION.format("entitled"))
    with (
        held(host, f"{EVENT}; {DELETIONS}") as first,
        held(host, SESSION.format("other")) as second,
        migrating(host) as migration,
    ):
        for other in (first, second):
            until(lambda: run(host, WAITING) or migration.done())
            other.commit()
        migration.result()
    moved = run(host, "SELECT kind, key, payload, attempts, extract(year FROM due_at) AS year FROM after_hours_outbox")
    assert sorted(task["kind"] for task in moved) == ["event", "event", "r2", "schedules", "schedules", "uploads"]
    assert {task["key"] for task in moved} > {"key", session["id"], failed["id"]}
    [event] = [task for task in moved if task["attempts"]]
    assert (event["key"], event["attempts"], event["year"]) == (failed["id"], 3, 2030)
    assert (event["payload"]["type"], event["payload"]["detail"]) == ("PhotoReady", {"photoId": "1"})
