"""What references a session holds it, whatever kind of table does; and what cannot be looked at holds them all."""

from collections.abc import Iterator

import pytest

from tests.support.world import World

# Two sessions ended long ago. The tables of the main app reference that of `local-entitled`, or none. The look is made
# with the rights of our tables' owner, who is seldom the owner of theirs.
SESSIONS = """
    INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)
    SELECT member, ended.at, ended.at, ended.at
    FROM unnest('{local-entitled,local-other}'::text[]) AS member, (SELECT now() - interval '91 days' AS at) AS ended
"""
READ_AS = """
    DROP ROLE IF EXISTS keeper; CREATE ROLE keeper; CREATE SCHEMA main_app; GRANT USAGE ON SCHEMA main_app TO keeper;
    ALTER DEFAULT PRIVILEGES IN SCHEMA main_app GRANT SELECT ON TABLES TO keeper;
    ALTER FUNCTION after_hours_referenced_sessions OWNER TO keeper
"""
UNDONE = """
    ALTER FUNCTION after_hours_referenced_sessions OWNER TO CURRENT_USER;
    DROP SCHEMA main_app CASCADE; DROP TABLE IF EXISTS after_hours_declines;
    ALTER TABLE after_hours_sessions DROP CONSTRAINT IF EXISTS begun;
    DROP OWNED BY keeper; DROP ROLE keeper
"""
ROW = "INSERT INTO main_app.matches (session_id) SELECT id FROM after_hours_sessions WHERE user_id = 'local-entitled'"
PLAIN = "CREATE TABLE main_app.matches (session_id UUID REFERENCES after_hours_sessions (id) ON DELETE"
DECLINES = f"""
    CREATE TABLE after_hours_declines (session_id UUID REFERENCES after_hours_sessions (id) ON DELETE CASCADE);
    {ROW.replace("main_app.matches", "after_hours_declines")};
    GRANT SELECT ON after_hours_declines TO keeper
"""

# What the main app has → which sessions are still there after a sweep
REFERENCES = {
    "deleted with it": (f"{PLAIN} CASCADE); {ROW}", {"local-entitled"}),
    "declines": (DECLINES, set()),
    "a key without the id": (
        """
        ALTER TABLE after_hours_sessions ADD CONSTRAINT begun UNIQUE (user_id, started_at);
        CREATE TABLE main_app.matches (
            user_id TEXT, at TIMESTAMPTZ,
            FOREIGN KEY (user_id, at) REFERENCES after_hours_sessions (user_id, started_at) ON DELETE CASCADE
        )
        """,
        {"local-entitled", "local-other"},
    ),
    "partitioned, with odd names and a type of the main app's": (
        """
        CREATE DOMAIN main_app.session AS UUID;
        CREATE TABLE main_app."It's 100 %s ""matches"" $1" (
            "session's %I; --" main_app.session REFERENCES after_hours_sessions (id) ON DELETE CASCADE, at DATE
        ) PARTITION BY RANGE (at);
        CREATE TABLE main_app.part PARTITION OF main_app."It's 100 %s ""matches"" $1" DEFAULT;
        REVOKE SELECT ON main_app.part FROM keeper;
        INSERT INTO main_app."It's 100 %s ""matches"" $1"
        SELECT id FROM after_hours_sessions WHERE user_id = 'local-entitled'
        """,
        {"local-entitled"},
    ),
    "rows that are hidden": (
        f"{PLAIN} CASCADE); {ROW}; ALTER TABLE main_app.matches ENABLE ROW LEVEL SECURITY",
        {"local-entitled", "local-other"},
    ),
    "another column that is readable": (
        f"""
        {PLAIN} CASCADE, note TEXT); REVOKE SELECT ON main_app.matches FROM keeper;
        GRANT SELECT (note) ON main_app.matches TO keeper
        """,
        {"local-entitled", "local-other"},
    ),
}  # fmt: skip


@pytest.fixture
def main_app(world: World) -> Iterator[None]:
    world.rows("DROP TABLE IF EXISTS after_hours_declines")
    world.rows(READ_AS)
    yield
    world.rows(UNDONE)


@pytest.mark.usefixtures("main_app")
@pytest.mark.parametrize("kind", REFERENCES)
def test_a_session_stays_as_long_as_something_may_hang_on_it(world: World, kind: str) -> None:
    tables, kept = REFERENCES[kind]
    world.rows(SESSIONS)
    world.rows(tables.replace("%", "%%"))
    world.sweep()
    assert {member for (member,) in world.rows("SELECT user_id FROM after_hours_sessions")} == kept
