"""A role that may only log in, and one that may create in our schema, get nothing done with the owner's rights.

The statements of attackers are as they would type them.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg2
import pytest

from migrations import serving_role
from migrations.failure import MigrationFailed
from migrations.upgrade import upgrade
from tests.support.earlier_backend import run
from tools.local import postgres

type Send = Callable[[str], object]


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> Iterator[Send]:
    """Send statements as a role with LOGIN alone."""
    host: postgres.Database = request.getfixturevalue("host" if "host" in request.fixturenames else "upgraded")
    forget_roles(host)
    run(host, "CREATE ROLE stranger LOGIN PASSWORD 'stranger'; GRANT TEMPORARY ON DATABASE host TO stranger")
    login = replace(host, username="stranger", password="stranger")
    yield lambda statement: run(login, statement)
    forget_roles(host)


def forget_roles(host: postgres.Database) -> None:
    for role in ("stranger", "main_app", "migrating"):
        if run(host, f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'"):
            run(host, f"REASSIGN OWNED BY {role} TO {host.username}; DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


FORGED_DELETION = """
    CREATE TEMPORARY TABLE forged (user_id TEXT, photo_url TEXT);
    INSERT INTO forged VALUES ('local-entitled', 'after-hours-photos/local-entitled/1.jpg'), ('x', 'main-app/1.jpg');
    CREATE TRIGGER forge AFTER DELETE ON forged FOR EACH ROW EXECUTE FUNCTION after_hours_follow_deleted_profile();
    DELETE FROM forged;
"""
FORGED_EVENT = """
    CREATE TEMPORARY TABLE forged (user_id TEXT, id UUID, expires_at TIMESTAMPTZ, ended_at TIMESTAMPTZ);
    INSERT INTO forged VALUES ('local-entitled', gen_random_uuid(), now() + interval '1 hour', NULL);
    CREATE TRIGGER forge AFTER DELETE ON forged FOR EACH ROW EXECUTE FUNCTION after_hours_follow_deleted_session();
    DELETE FROM forged;
"""
WRITTEN = """
    SELECT 1 FROM after_hours_outbox UNION ALL SELECT 1 FROM after_hours_departures
"""


@pytest.mark.parametrize("forged", [FORGED_DELETION, FORGED_EVENT])
def test_a_trigger_of_ours_on_a_table_of_others_is_refused(
    upgraded: postgres.Database, stranger: Send, forged: str
) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied for function"):
        stranger(forged)
    run(upgraded, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO stranger")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match=r"a trigger of after_hours_[a-z]+ alone"):
        stranger(forged)
    assert run(upgraded, WRITTEN) == []


def test_a_trigger_of_ours_does_nothing_but_what_it_is_for(upgraded: postgres.Database) -> None:
    run(
        upgraded,
        "INSERT INTO after_hours_profiles (user_id) VALUES ('local-other');"
        "INSERT INTO after_hours_sessions (user_id, expires_at, ended_at) VALUES ('local-other', now(), now())",
    )
    for function, table, *wrong in (
        ("follow_deleted_profile", "after_hours_profiles", "BEFORE DELETE", "AFTER UPDATE"),
        ("follow_deleted_session", "after_hours_sessions", "BEFORE DELETE", "AFTER UPDATE"),
        ("schedule_session", "after_hours_sessions", "BEFORE UPDATE", "AFTER DELETE"),
    ):
        for when in wrong:
            fires = f"DELETE FROM {table}" if when.endswith("DELETE") else f"UPDATE {table} SET user_id = user_id"
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match=f"a trigger of {table} alone"):
                run(
                    upgraded,
                    f"CREATE TRIGGER wrong {when} ON {table} FOR EACH ROW EXECUTE FUNCTION after_hours_{function}();"
                    f"{fires}",
                )


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


# Each fits better than PostgreSQL's own, or than ours, what an earlier revision called.
OVERLOADS = """
    CREATE TABLE public.called (what TEXT, with_rights_of TEXT DEFAULT current_user);
    GRANT INSERT ON public.called TO PUBLIC;
    CREATE FUNCTION public.format(text, regclass, name) RETURNS text LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.called VALUES ('format');
            ALTER ROLE stranger SUPERUSER;
            RETURN pg_catalog.format($1, $2, $3);
        END $$;
    CREATE FUNCTION public.has_column_privilege(oid, name, text) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.called VALUES ('has_column_privilege'); RETURN true; END $$;
    CREATE FUNCTION public.octet_length(varchar) RETURNS integer LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.called VALUES ('octet_length'); RETURN 16; END $$;
    CREATE FUNCTION public.unlike(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.called VALUES ('!~'); RETURN true; END $$;
    CREATE OPERATOR public.!~ (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.unlike);
    CREATE FUNCTION public.same(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.called VALUES ('='); RETURN $1 OPERATOR(pg_catalog.=) $2::oid; END $$;
    CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.same);
    CREATE FUNCTION public.after_hours_tell_ended(varchar, uuid, timestamptz, text, interval) RETURNS jsonb
        LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.called VALUES ('tell_ended'); RETURN '{}'; END $$;
"""
MATCHES = "CREATE TABLE after_hours_matches (session_id UUID REFERENCES after_hours_sessions (id) ON DELETE CASCADE)"


def test_no_overload_of_others_is_called_with_the_owner_s_rights(upgraded: postgres.Database, stranger: Send) -> None:
    run(upgraded, f"{MATCHES}; GRANT CREATE ON SCHEMA public TO PUBLIC")
    run(upgraded, "INSERT INTO banned_photo_hashes (photo_hash) VALUES ('0123456789abcdef')")
    run(
        upgraded,
        "INSERT INTO after_hours_profiles (user_id, photo_url) VALUES ('local-other', 'after-hours-photos/1.jpg')",
    )
    run(upgraded, "INSERT INTO after_hours_sessions (user_id, expires_at) VALUES ('local-other', now())")
    stranger(OVERLOADS)
    run(upgraded, "SELECT after_hours_referenced_sessions(ARRAY[gen_random_uuid()])")
    run(upgraded, "SELECT after_hours_banned_photo('0123456789abcdef'::text, '0123456789abcdef'::text)")
    run(upgraded, "SELECT after_hours_banned_photo(ARRAY['0123456789abcdef'], 0)")
    run(upgraded, "DELETE FROM users")
    assert len(run(upgraded, WRITTEN)) == 4  # two objects, a departure, an event
    assert run(upgraded, "SELECT what, with_rights_of FROM called") == []
    assert run(upgraded, "SELECT rolsuper FROM pg_roles WHERE rolname = 'stranger'") == [{"rolsuper": False}]


@pytest.mark.parametrize("others", ["PUBLIC", "stranger"])
def test_a_schema_where_others_may_create_is_refused_with_what_mends_it(
    host: postgres.Database, stranger: Send, others: str
) -> None:
    """As every database that was made before PostgreSQL 15."""
    run(host, f"GRANT CREATE ON SCHEMA public TO {others}")
    with pytest.raises(MigrationFailed, match=f"REVOKE CREATE ON SCHEMA public FROM {others}$") as refusal:
        upgrade(host.connect)
    assert run(host, "SELECT to_regclass('after_hours_sessions') AS made") == [{"made": None}]
    stranger(OVERLOADS)
    run(host, str(refusal.value).rpartition("run: ")[2])
    with pytest.raises(MigrationFailed, match=r"DROP ROUTINE public\.format") as refusal:  # what they have made stays
        upgrade(host.connect)
    commands = str(refusal.value).rpartition("run: ")[2]
    assert [command.partition("(")[0] for command in sorted(commands.split("; "))] == [
        "DROP OPERATOR public.!~", "DROP OPERATOR public.=", "DROP ROUTINE public.after_hours_tell_ended",
        "DROP ROUTINE public.format", "DROP ROUTINE public.has_column_privilege", "DROP ROUTINE public.octet_length",
    ]  # fmt: skip
    run(host, commands)
    upgrade(host.connect)
    run(host, "GRANT CREATE ON SCHEMA public TO PUBLIC; UPDATE after_hours_alembic_version SET version_num = '9999'")
    assert upgrade(host.connect) == "9999"  # what a rollback deploys changes nothing, and so need not be refused


def test_owners_may_create(host: postgres.Database, stranger: Send) -> None:
    """The main app's role (its migrations have to), the one that migrates, and one that may act as either."""
    run(host, "CREATE ROLE main_app; CREATE ROLE migrating LOGIN PASSWORD 'm'; GRANT main_app TO stranger")
    run(host, "ALTER TABLE users OWNER TO main_app; GRANT REFERENCES, SELECT, UPDATE ON users TO migrating")
    run(host, "GRANT CREATE ON SCHEMA public TO main_app, migrating, stranger, pg_database_owner")
    stranger("CREATE FUNCTION public.lower(oid) RETURNS text LANGUAGE sql RETURN 'oid'")
    upgrade(replace(host, username="migrating", password="m").connect)
    upgrade(host.connect)  # another that migrates: the one before owns our tables


def test_what_came_with_an_extension_may_have_any_name(host: postgres.Database, stranger: Send) -> None:
    run(host, "CREATE FUNCTION public.lower(oid) RETURNS text LANGUAGE sql RETURN 'oid'")
    run(
        host,
        "ALTER FUNCTION public.lower(oid) OWNER TO stranger; ALTER EXTENSION plpgsql ADD FUNCTION public.lower(oid)",
    )
    try:
        upgrade(host.connect)
    finally:
        run(host, "ALTER EXTENSION plpgsql DROP FUNCTION public.lower(oid)")
