"""The rights of each role in the database.

The role that serves may do what the functions do, and nothing else. A role that may only log in, and one that may
create in our schema, get nothing done with the owner's rights. Rights that a migration cannot grant are named.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from after_hours.foundation import secrets
from after_hours.foundation.connecting import ENDPOINT, JOB
from psycopg2.errors import InsufficientPrivilege

from migrations import serving_role
from migrations.failure import MigrationFailed
from migrations.upgrade import upgrade
from tests.support.databases import reading, run
from tests.support.world import World
from tools.local import postgres

ROLE, OWNER = "serving_test", "owning_test"


@pytest.fixture(autouse=True)
def roles_are_forgotten(server: postgres.Database) -> Iterator[None]:
    yield
    with closing(server.connect("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for database in ("host", "own_cluster"):
            cursor.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        cursor.execute(f"DROP ROLE IF EXISTS {ROLE}, {OWNER}, rds_iam, stranger, migrating, main_app")


def of_stranger(database: postgres.Database) -> postgres.Database:
    """Make a role that may log in. Returns the database as that role opens it."""
    run(database, "CREATE ROLE stranger LOGIN PASSWORD 'stranger'; GRANT TEMPORARY ON DATABASE host TO stranger")
    return replace(database, username="stranger", password="stranger")


# The role that serves

HOST_COLUMNS = {
    "users": ["after_hours_consent", "id", "id_verified"],
    "profiles": ["age", "gender", "name", "sexual_preference", "user_id"],
    "user_subscriptions": ["expires_at", "is_active", "user_id"],
    "device_fingerprints": ["created_at", "id", "session_id", "user_id"],
}
# The first letters of what the role may do with whole tables, and the columns that it may read
TABLES = """
    SELECT table_name, string_agg(left(privilege_type, 1), '' ORDER BY privilege_type) AS privileges
    FROM information_schema.table_privileges
    WHERE table_schema = 'public' AND grantee IN (%s, 'PUBLIC') GROUP BY 1
"""
COLUMNS = """
    SELECT table_name, array_agg(column_name::text ORDER BY column_name) AS columns
    FROM information_schema.column_privileges
    WHERE table_schema = 'public' AND grantee IN (%s, 'PUBLIC') AND privilege_type = 'SELECT' GROUP BY 1
"""


def assert_it_may_do_what_it_must_and_nothing_else(database: postgres.Database) -> None:
    made = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    ours = {name for name in serving_role.RIGHTS if name.startswith("after_hours_")}
    not_served = {"after_hours_alembic_version", "after_hours_matches"}
    tables = {row["relname"] for row in run(database, made)}
    assert {name for name in tables if name.startswith("after_hours_")} - not_served == ours
    whole = {row["table_name"]: row["privileges"] for row in run(database, TABLES, ROLE)}
    shown = {"after_hours_shown_photos": "S"}
    assert whole == dict.fromkeys(ours - shown.keys(), "DISU") | shown | {"device_fingerprints": "D"}
    columns = {row["table_name"]: row["columns"] for row in run(database, COLUMNS, ROLE)}
    assert {table: columns[table] for table in columns.keys() - ours} == HOST_COLUMNS


def test_rights_beyond_those_that_it_needs_are_taken_back_and_none_is_lacking_at_any_moment(
    upgraded: postgres.Database,
) -> None:
    """An earlier release granted whole tables. Where the role lacks nothing, a migration changes nothing."""
    run(upgraded, "CREATE TABLE after_hours_matches (id UUID REFERENCES after_hours_sessions); CREATE ROLE rds_iam")
    upgrade(upgraded.connect, app_role=ROLE)
    assert_it_may_do_what_it_must_and_nothing_else(upgraded)
    attributes = "rolcanlogin, rolsuper, rolcreaterole, rolconfig, pg_has_role(oid, 'rds_iam', 'MEMBER') AS by_iam"
    [role] = run(upgraded, f"SELECT {attributes} FROM pg_roles WHERE rolname = %s", ROLE)
    assert [*role.values()] == [True, False, False, ["statement_timeout=5s", "TimeZone=UTC"], True]
    assert 5 < (ENDPOINT.silence_seconds or 0) < (JOB.silence_seconds or 0), "the server gives up before the client"
    run(upgraded, f"REVOKE rds_iam FROM {ROLE}; ALTER ROLE {ROLE} PASSWORD 'serving'")
    serving = replace(upgraded, username=ROLE, password="serving")
    with reading(serving, "SELECT count(*) FROM users CROSS JOIN LATERAL after_hours_entitlements(id)") as reads:
        for _ in range(3):
            run(
                upgraded,
                f"GRANT SELECT ON users, profiles, user_subscriptions, banned_photo_hashes TO {ROLE};"
                f"GRANT ALL ON device_fingerprints TO {ROLE}",
            )
            upgrade(upgraded.connect, app_role=ROLE)
            assert_it_may_do_what_it_must_and_nothing_else(upgraded)
    assert len(reads) > 3
    written = "SELECT xmin::text, oid FROM pg_authid UNION ALL SELECT xmin::text, oid FROM pg_class ORDER BY 2"
    before = run(upgraded, written)
    for unchanged in (ROLE, upgraded.username):  # the second owns and serves
        upgrade(upgraded.connect, app_role=unchanged)
    assert run(upgraded, written) == before


def test_what_the_owner_may_not_give_is_named_as_commands(host: postgres.Database) -> None:
    """The owner of our tables need not own those of the main app, and no reader of `users` holds it up."""
    run(
        host,
        f"""
        CREATE ROLE {OWNER} LOGIN PASSWORD 'owner'; GRANT ALL ON SCHEMA public TO {OWNER};
        GRANT SELECT, REFERENCES ON users, profiles, user_subscriptions, banned_photo_hashes TO {OWNER}
        """,
    )
    owner = replace(host, username=OWNER, password="owner")
    with closing(host.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT FROM users")
        for failing, missing in (
            ("no account can be locked", f"GRANT UPDATE (after_hours_consent_at) ON users TO {OWNER}"),
            ("cannot serve", f"CREATE ROLE {ROLE} LOGIN"),
            ("cannot serve", f"GRANT SELECT (id, id_verified, after_hours_consent) ON users TO {ROLE}"),
        ):
            with pytest.raises(MigrationFailed, match=failing) as failure:
                upgrade(owner.connect, app_role=ROLE)
            commands = str(failure.value).partition("runs: ")[2]
            assert missing in commands
            assert "after_hours_sessions" not in commands
            run(host, commands)
    upgrade(owner.connect, app_role=ROLE)


def test_the_function_makes_role_and_host_tables_as_its_environment_says(
    new_database: Callable[[str], postgres.Database], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = new_database("own_cluster")
    owner = secrets.DatabaseSecret.model_validate(empty.secret)
    monkeypatch.setattr(secrets.database_secret, "read", lambda **_: owner)
    monkeypatch.setenv("DATABASE_APP_ROLE", ROLE)
    monkeypatch.setenv("DATABASE_HOST_TABLES", "create")
    world.run("migrate_database")
    assert run(empty, f"SET ROLE {ROLE}; SELECT count(*) FROM users") == [{"count": 0}]
    for attempt in (
        "DELETE FROM users", "CREATE TABLE t (id INT)", "CREATE TEMPORARY TABLE t (id INT)", "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
    ):  # fmt: skip
        with pytest.raises(InsufficientPrivilege):
            run(empty, f"SET ROLE {ROLE}; {attempt}")


# Strangers

FORGED = """
    CREATE TEMPORARY TABLE forged (user_id TEXT, photo_url TEXT, id UUID, expires_at TIMESTAMPTZ, ended_at TIMESTAMPTZ);
    INSERT INTO forged VALUES
        ('local-entitled', 'after-hours-photos/local-entitled/1.jpg', gen_random_uuid(), now(), NULL);
    CREATE TRIGGER forge AFTER DELETE ON forged FOR EACH ROW EXECUTE FUNCTION after_hours_{}();
    DELETE FROM forged;
"""
WRITTEN = "SELECT key FROM after_hours_outbox UNION ALL SELECT user_id FROM after_hours_departures"


@pytest.mark.parametrize(
    ("function", "table", "wrong"),
    [
        ("follow_deleted_profile", "after_hours_profiles", "BEFORE DELETE"),
        ("follow_deleted_session", "after_hours_sessions", "AFTER UPDATE"),
        ("schedule_sessions", "after_hours_sessions", "AFTER DELETE"),
    ],
)
def test_a_trigger_of_ours_does_nothing_but_what_it_is_for(
    upgraded: postgres.Database, function: str, table: str, wrong: str
) -> None:
    stranger = of_stranger(upgraded)
    with pytest.raises(InsufficientPrivilege, match="permission denied for function"):
        run(stranger, FORGED.format(function))
    run(upgraded, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO stranger")
    with pytest.raises(InsufficientPrivilege, match=f"a trigger of {table} alone"):
        run(stranger, FORGED.format(function))
    trigger = f"CREATE TRIGGER wrong {wrong} ON {table} FOR EACH ROW EXECUTE FUNCTION after_hours_{function}()"
    with pytest.raises(InsufficientPrivilege, match=f"a trigger of {table} alone"):
        run(
            upgraded,
            f"""
            {trigger}; INSERT INTO after_hours_profiles (user_id) VALUES ('local-other');
            INSERT INTO after_hours_sessions (user_id, expires_at, ended_at) VALUES ('local-other', now(), now());
            UPDATE {table} SET user_id = user_id; DELETE FROM {table}
            """,
        )
    assert run(upgraded, WRITTEN) == []


def test_each_function_of_ours_is_known_and_none_is_everybody_s(upgraded: postgres.Database) -> None:
    """A later revision's, too: it must be added to the lists of migrations/serving_role.py."""
    functions = run(
        upgraded,
        "SELECT DISTINCT proname, prosecdef, proconfig, prorettype = 'trigger'::regtype AS of_trigger, EXISTS ("
        " SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0) AS everybodys"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    )
    assert {row["proname"] for row in functions if row["of_trigger"]} == set(serving_role.TRIGGER_FUNCTIONS)
    assert {row["proname"] for row in functions if not row["of_trigger"]} == set(serving_role.OWN_FUNCTIONS)
    assert [row["proname"] for row in functions if row["everybodys"]] == []
    definers = {row["proname"]: row["proconfig"] for row in functions if row["prosecdef"]}
    assert set(definers) > set(serving_role.TRIGGER_FUNCTIONS)
    rule = "SET search_path = pg_catalog, pg_temp, and what is ours with its schema, as in revision 0016"
    assert definers == {name: ["search_path=pg_catalog, pg_temp"] for name in definers}, rule


# The first two fit better than PostgreSQL's own; the last has a name of ours.
OVERLOADS = """
    CREATE FUNCTION public.octet_length(varchar) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RETURN 16; END $$;
    CREATE FUNCTION public.same(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$;
    CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.same);
    CREATE FUNCTION public.after_hours_tell_ended(varchar, uuid, timestamptz, text, interval) RETURNS jsonb
        LANGUAGE plpgsql AS $$ BEGIN RETURN '{}'; END $$;
"""


@pytest.mark.parametrize("others", ["PUBLIC", "stranger"])
def test_a_schema_where_others_may_create_is_refused_with_what_mends_it(host: postgres.Database, others: str) -> None:
    """As every database that was made before PostgreSQL 15."""
    stranger = of_stranger(host)
    run(host, f"GRANT CREATE ON SCHEMA public TO {others}")
    with pytest.raises(MigrationFailed, match=f"REVOKE CREATE ON SCHEMA public FROM {others}$") as refusal:
        upgrade(host.connect)
    assert run(host, "SELECT to_regclass('after_hours_sessions') AS made") == [{"made": None}]
    run(stranger, OVERLOADS)  # they stay, after the right to create is gone
    run(host, str(refusal.value).rpartition("run: ")[2])
    with pytest.raises(
        MigrationFailed, match=r"DROP ROUTINE public\.octet_length"
    ) as refusal:  # what they have made stays
        upgrade(host.connect)
    commands = str(refusal.value).rpartition("run: ")[2]
    assert [command.partition("(")[0] for command in sorted(commands.split("; "))] == [
        "DROP OPERATOR public.=", "DROP ROUTINE public.after_hours_tell_ended", "DROP ROUTINE public.octet_length",
    ]  # fmt: skip
    run(host, commands)
    upgrade(host.connect)
    run(host, "GRANT CREATE ON SCHEMA public TO PUBLIC; UPDATE after_hours_alembic_version SET version_num = '9999'")
    assert upgrade(host.connect) == "9999"  # what a rollback deploys changes nothing, and so need not be refused


def test_owners_may_create_and_an_extension_may_have_any_name(host: postgres.Database) -> None:
    """The main app's role (its migrations have to), the one that migrates, and one that may act as either."""
    stranger = of_stranger(host)
    run(
        host,
        """
        CREATE FUNCTION public.upper(oid) RETURNS text LANGUAGE sql RETURN 'oid';
        ALTER FUNCTION public.upper(oid) OWNER TO pg_monitor; ALTER EXTENSION plpgsql ADD FUNCTION public.upper(oid);
        CREATE ROLE main_app; CREATE ROLE migrating LOGIN PASSWORD 'm'; GRANT main_app TO stranger;
        ALTER TABLE users OWNER TO main_app; GRANT REFERENCES, SELECT, UPDATE ON users TO migrating;
        GRANT CREATE ON SCHEMA public TO main_app, migrating, stranger, pg_database_owner
        """,
    )
    run(stranger, "CREATE FUNCTION public.lower(oid) RETURNS text LANGUAGE sql RETURN 'oid'")
    upgrade(replace(host, username="migrating", password="m").connect)
    upgrade(host.connect)  # another that migrates: the one before owns our tables
