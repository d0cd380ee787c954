"""Migrations run on an empty database and beside tables of others, twice, at once, and again after a failure."""

import json
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from after_hours.foundation import secrets

from migrations.failure import MigrationFailed
from migrations.upgrade import upgrade
from tests.support.earlier_backend import EARLIER_TABLES, migrate, run
from tests.support.world import World
from tools.local import postgres


def test_the_role_need_not_own_tables_of_the_main_app(host: postgres.Database) -> None:
    """Nor does a reader of `users`, however long it reads, hold the deployment up."""
    run(
        host,
        """
        CREATE TABLE device_fingerprints (
            id UUID PRIMARY KEY, user_id VARCHAR(255), session_id UUID,
            device_id VARCHAR(255), device_model VARCHAR(100), platform VARCHAR(20), created_at TIMESTAMPTZ
        );
        DROP ROLE IF EXISTS deployment;
        CREATE ROLE deployment LOGIN PASSWORD 'deployment';
        GRANT CREATE ON SCHEMA public TO deployment;
        GRANT SELECT, REFERENCES ON users TO deployment;
        """,
    )
    with pytest.raises(MigrationFailed, match="no account can be locked") as failure:
        upgrade(replace(host, username="deployment", password="deployment").connect)
    run(host, str(failure.value).partition("runs: ")[2])
    with closing(host.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT FROM users")
        upgrade(replace(host, username="deployment", password="deployment").connect)


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


def test_the_consent_columns_are_added_if_missing(host: postgres.Database) -> None:
    run(host, "ALTER TABLE users DROP after_hours_consent, DROP after_hours_consent_at")
    upgrade(host.connect)
    assert run(host, "SELECT DISTINCT after_hours_consent, after_hours_consent_at FROM users") == [
        {"after_hours_consent": False, "after_hours_consent_at": None}
    ]


def test_without_the_host_tables_the_migration_fails_and_leaves_nothing(
    new_database: Callable[[str], postgres.Database],
) -> None:
    empty = new_database("empty")
    with pytest.raises(Exception, match="users"):
        upgrade(empty.connect)
    assert run(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


def test_deployments_at_once_wait_for_each_other_and_a_later_one_changes_nothing(host: postgres.Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: upgrade(host.connect), range(2))
    assert first == second == upgrade(host.connect)


def unindexed(output: Callable[[], str]) -> list[str]:
    logged = [json.loads(line) for line in output().splitlines() if line.startswith("{")]
    return [line["command"] for line in logged if line["message"].startswith("an index is missing")]


def test_a_reference_to_sessions_without_an_index_is_named_with_what_mends_it(
    host: postgres.Database, output: Callable[[], str]
) -> None:
    run(host, EARLIER_TABLES)
    run(
        host,
        "CREATE TABLE matches (session_id UUID REFERENCES after_hours_sessions (id) ON DELETE CASCADE);"
        "CREATE TABLE reports (session_id UUID REFERENCES after_hours_sessions (id));"
        "CREATE INDEX ON reports (session_id)",
    )
    upgrade(host.connect)
    assert unindexed(output) == ["CREATE INDEX CONCURRENTLY ON matches (session_id)"]


def test_a_table_of_devices_that_is_not_ours_is_left_alone_and_named(
    host: postgres.Database, output: Callable[[], str]
) -> None:
    run(host, EARLIER_TABLES)
    run(
        host,
        "DROP ROLE IF EXISTS another_role; CREATE ROLE another_role;"
        "ALTER TABLE device_fingerprints OWNER TO another_role; DROP ROLE IF EXISTS ours;"
        "CREATE ROLE ours LOGIN PASSWORD 'ours'; GRANT ALL ON SCHEMA public TO ours;"
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO ours;"
        "ALTER TABLE after_hours_profiles OWNER TO ours; ALTER TABLE after_hours_preferences OWNER TO ours;"
        "ALTER TABLE after_hours_sessions OWNER TO ours",
    )
    upgrade(postgres.Database(host.port, "ours", username="ours", dbname=host.dbname).connect)
    assert unindexed(output) == [
        "CREATE INDEX CONCURRENTLY ON device_fingerprints (session_id)",
        "CREATE INDEX CONCURRENTLY ON device_fingerprints (user_id)",
    ]
    run(host, "DROP OWNED BY ours, another_role CASCADE; DROP ROLE ours, another_role")
