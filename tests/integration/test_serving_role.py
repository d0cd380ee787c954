"""The role that serves may do what the functions do, and nothing else. Rights that cannot be granted are named."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Event
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from after_hours.foundation import secrets

from migrations import serving_role
from migrations.failure import MigrationFailed
from migrations.upgrade import LIMIT_SECONDS, upgrade
from tests.support.world import World
from tools.local import postgres

type Run = Callable[..., list[tuple[Any, ...]]]

ROLE = "serving_test"
OWNER = "owning_test"


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    host: postgres.Database = request.getfixturevalue("host" if "host" in request.fixturenames else "upgraded")
    with closing(host.connect()) as connection:
        connection.autocommit = True

        def run(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description is not None else []

        drop(run)
        yield run
        drop(run)


def drop(run: Run) -> None:
    run("RESET ROLE")
    for role in (ROLE, OWNER, "rds_iam"):
        if run("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            run(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_with_rds_it_logs_in_by_iam_and_one_that_was_there_as_it_did(upgraded: postgres.Database, run: Run) -> None:
    run("CREATE ROLE rds_iam")
    upgrade(upgraded.connect, app_role=ROLE)
    assert run("SELECT pg_has_role(%s, 'rds_iam', 'MEMBER')", ROLE) == [(True,)]
    run(f"REVOKE rds_iam FROM {ROLE}")
    upgrade(upgraded.connect, app_role=ROLE)
    assert run("SELECT pg_has_role(%s, 'rds_iam', 'MEMBER')", ROLE) == [(False,)]


COLUMNS_READ = """
    SELECT relname, array_agg(attname::text ORDER BY attname)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
    WHERE relname = ANY (%s) AND relnamespace = 'public'::regnamespace
        AND has_column_privilege(%s, attrelid, attnum, 'SELECT')
    GROUP BY 1
"""
HOST_COLUMNS = {
    "users": ["after_hours_consent", "id", "id_verified"],
    "profiles": ["age", "gender", "name", "sexual_preference", "user_id"],
    "user_subscriptions": ["expires_at", "is_active", "user_id"],
    "device_fingerprints": ["created_at", "id", "session_id", "user_id"],
}


def may(run: Run) -> dict[str, str]:
    """The first letters of what the role may do with whole tables."""
    granted = run(
        "SELECT relname, string_agg(left(privilege, 1), '' ORDER BY privilege)"
        " FROM pg_class, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
        " AND has_table_privilege(%s, pg_class.oid, privilege) GROUP BY 1",
        ROLE,
    )
    return dict(granted)


def test_it_may_do_what_it_must_and_nothing_else(upgraded: postgres.Database, run: Run) -> None:
    made = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    ours = {name for (name,) in run(made) if name.startswith("after_hours_")} - {"after_hours_alembic_version"}
    assert ours == {name for name in serving_role.RIGHTS if name.startswith("after_hours_")}
    run("CREATE TABLE after_hours_matches (id INT)")
    upgrade(upgraded.connect, app_role=ROLE)
    assert run("SELECT rolcanlogin, rolsuper, rolcreaterole, rolconfig FROM pg_roles WHERE rolname = %s", ROLE) == [
        (True, False, False, ["statement_timeout=5s", "TimeZone=UTC"])
    ]
    shown = {"after_hours_shown_photos": "S"}
    assert may(run) == dict.fromkeys(ours - shown.keys(), "DISU") | shown | {"device_fingerprints": "D"}
    assert dict(run(COLUMNS_READ, [*HOST_COLUMNS, "banned_photo_hashes"], ROLE)) == HOST_COLUMNS
    assert run("SELECT has_schema_privilege(%s, 'public', 'CREATE')", ROLE) == [(False,)]


def test_what_an_earlier_release_granted_is_taken_back_and_at_no_moment_is_anything_lacking(
    upgraded: postgres.Database, run: Run
) -> None:
    upgrade(upgraded.connect, app_role=ROLE)
    run(f"ALTER ROLE {ROLE} PASSWORD 'serving'")
    serving = replace(upgraded, username=ROLE, password="serving")
    done = Event()

    def read() -> int:
        reads = 0
        with closing(serving.connect()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while not done.is_set():
                cursor.execute("SELECT count(*) FROM users CROSS JOIN LATERAL after_hours_entitlements(id)")
                reads += 1
        return reads

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for _ in range(3):
            run(f"GRANT SELECT ON users, profiles, user_subscriptions, banned_photo_hashes TO {ROLE}")
            run(f"GRANT ALL ON device_fingerprints TO {ROLE}")
            upgrade(upgraded.connect, app_role=ROLE)
            assert may(run)["device_fingerprints"] == "D"
            assert not {"users", "profiles", "user_subscriptions", "banned_photo_hashes"} & may(run).keys()
        done.set()
        assert reading.result() > 3


def test_what_it_may_not_read_it_asks_with_the_owners_rights(upgraded: postgres.Database, run: Run) -> None:
    upgrade(upgraded.connect, app_role=ROLE)
    run("DROP TABLE banned_photo_hashes; CREATE TABLE banned_photo_hashes (photo_hash VARCHAR(16))")  # not granted
    run("CREATE TABLE after_hours_matches (session_id UUID REFERENCES after_hours_sessions ON DELETE CASCADE)")
    run(f"SET ROLE {ROLE}")
    assert run("SELECT * FROM after_hours_banned_photo(ARRAY[%s], 0)", "0" * 16) == [(False, 0, None)]
    assert run("SELECT after_hours_referenced_sessions(%s::uuid[])", [str(uuid4())]) == []


def test_a_second_time_nothing_is_sent(upgraded: postgres.Database, run: Run) -> None:
    upgrade(upgraded.connect, app_role=ROLE)
    before = (
        run("SELECT xmin, * FROM pg_authid WHERE rolname = %s", ROLE),
        run("SELECT xmin FROM pg_class ORDER BY oid"),
    )
    upgrade(upgraded.connect, app_role=ROLE)
    after = run("SELECT xmin, * FROM pg_authid WHERE rolname = %s", ROLE), run("SELECT xmin FROM pg_class ORDER BY oid")
    assert before == after


def test_where_one_role_owns_and_serves_nothing_of_it_is_changed(upgraded: postgres.Database, run: Run) -> None:
    upgrade(upgraded.connect, app_role=upgraded.username)
    assert run("SELECT rolconfig FROM pg_roles WHERE rolname = %s", upgraded.username) == [(None,)]


def owned_by_another(host: postgres.Database, run: Run) -> postgres.Database:
    """The database as a role without rights over others sees it."""
    run(f"CREATE ROLE {OWNER} LOGIN PASSWORD 'owner'; GRANT ALL ON SCHEMA public TO {OWNER}")
    run(f"GRANT SELECT, REFERENCES ON users, profiles, user_subscriptions, banned_photo_hashes TO {OWNER}")
    run(f"GRANT UPDATE (after_hours_consent_at) ON users TO {OWNER}")
    return replace(host, username=OWNER, password="owner")


def test_what_the_owner_may_not_give_is_named_as_commands(host: postgres.Database, run: Run) -> None:
    owner = owned_by_another(host, run)
    with pytest.raises(MigrationFailed, match=f"CREATE ROLE {ROLE} LOGIN$"):
        upgrade(owner.connect, app_role=ROLE)
    run(f"CREATE ROLE {ROLE} LOGIN")
    with pytest.raises(MigrationFailed) as failure:
        upgrade(owner.connect, app_role=ROLE)
    commands = str(failure.value).partition("runs: ")[2]
    assert f"ALTER ROLE {ROLE} SET statement_timeout = '5s'" in commands
    assert f"GRANT SELECT (id, id_verified, after_hours_consent) ON users TO {ROLE}" in commands
    assert "after_hours_sessions" not in commands
    run(commands)
    upgrade(owner.connect, app_role=ROLE)


def test_the_function_makes_role_and_host_tables_as_its_environment_says(
    new_database: Callable[[str], postgres.Database], run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = new_database("own_cluster")
    owner = secrets.DatabaseSecret.model_validate(empty.secret)
    monkeypatch.setattr(secrets.database_secret, "read", lambda **_: owner)
    monkeypatch.setenv("DATABASE_APP_ROLE", ROLE)
    monkeypatch.setenv("DATABASE_HOST_TABLES", "create")
    world.run("migrate_database")
    with closing(empty.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"SET ROLE {ROLE}; SELECT count(*) FROM users")
        assert cursor.fetchone() == (0,)
        for attempt in (
            "DELETE FROM users", "CREATE TEMPORARY TABLE t (id INT)", "SELECT lo_create(0)",
            "SELECT lo_from_bytea(0, 'x')",
        ):  # fmt: skip
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(attempt)
        cursor.execute(f"RESET ROLE; DROP OWNED BY {ROLE} CASCADE")


def test_the_migration_itself_has_a_longer_statement_timeout_and_reads_times_as_utc(
    upgraded: postgres.Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(f"CREATE ROLE {OWNER} LOGIN SUPERUSER PASSWORD 'owner'")
    run(f"ALTER ROLE {OWNER} SET statement_timeout = '1min'; ALTER ROLE {OWNER} SET TimeZone = 'Asia/Kolkata'")
    seen = []
    ask = "SELECT extract(epoch FROM current_setting('statement_timeout')::interval), current_setting('TimeZone')"
    monkeypatch.setattr(serving_role, "let_serve", lambda on, _: seen.append(on.exec_driver_sql(ask).one()))
    upgrade(replace(upgraded, username=OWNER, password="owner").connect, app_role=ROLE)
    [(timeout_seconds, time_zone)] = seen
    assert 60 < timeout_seconds <= LIMIT_SECONDS
    assert time_zone == "UTC"
