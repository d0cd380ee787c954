"""Old rows are deleted in time, and none that a table of the main app references."""

from collections.abc import Iterator

import pytest
from after_hours.sweep import retention

from tests.support.phone import Phone, refused
from tests.support.world import World

# As the main app has them. Deleting a session would delete its matches, their messages, and its declines.
MAIN_APP = """
    CREATE TABLE after_hours_matches (
        id SERIAL PRIMARY KEY, session_id UUID NOT NULL REFERENCES after_hours_sessions (id) ON DELETE CASCADE
    );
    CREATE INDEX ON after_hours_matches (session_id);
    CREATE TABLE after_hours_declines (
        id SERIAL PRIMARY KEY, session_id UUID NOT NULL REFERENCES after_hours_sessions (id) ON DELETE CASCADE
    );
"""
DROP = "DROP TABLE IF EXISTS after_hours_matches, after_hours_declines"
MATCH = "INSERT INTO after_hours_matches (session_id) SELECT id FROM after_hours_sessions"
# So many sessions of the entitled member, which ended a minute after each other, the last one this long ago.
ENDED = """
    INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)
    SELECT 'local-entitled', t, t, t
    FROM generate_series(1, %s) n, LATERAL (SELECT now() - %s::interval - n * interval '1 minute' AS t) AS times
"""

pytestmark = pytest.mark.usefixtures("profile")


@pytest.fixture
def main_app(world: World) -> Iterator[None]:
    world.rows(DROP)
    world.rows(MAIN_APP)
    yield
    world.rows(DROP)


@pytest.mark.usefixtures("main_app")
def test_a_match_outlives_the_leaving_of_a_member(phone: Phone, world: World) -> None:
    phone.start()
    phone.end()
    world.rows(MATCH)
    world.rows("INSERT INTO after_hours_declines (session_id) SELECT id FROM after_hours_sessions")
    phone.leave()
    for hours in (1, 90 * 24, 90 * 24):
        world.pass_time(hours=hours)
        world.sweep()
        assert world.counts("after_hours_sessions", "after_hours_matches") == [1, 1]
    assert world.counts("device_fingerprints", "after_hours_departures") == [0, 0]
    world.rows("DELETE FROM after_hours_matches")
    world.pass_time(days=90)
    assert world.sweep()["sessionsForgotten"] == 1
    assert world.counts("after_hours_sessions", "after_hours_declines") == [0, 0]


@pytest.mark.usefixtures("main_app")
def test_ended_sessions_go_after_90_days_and_the_device_of_one_that_is_kept_after_180(
    phone: Phone, world: World
) -> None:
    """Sessions that are kept keep no others, also where there are more of them than a batch has."""
    phone.start()
    phone.end()
    world.rows(ENDED, 50, "2 hours")
    world.rows(MATCH)
    phone.start()
    phone.end()
    kept = []
    for time in ({"days": 89, "hours": 23}, {"hours": 1}, {"days": 91}):
        world.pass_time(**time)
        world.sweep()
        kept.append(world.counts("after_hours_sessions", "device_fingerprints"))
    assert kept == [[52, 2], [51, 1], [51, 0]]


def test_a_member_of_many_sessions_is_forgotten_in_one_sweep(phone: Phone, world: World) -> None:
    """A statement deletes twenty sessions at most, since a reference without an index costs a second for four."""
    world.rows(ENDED, 45, "1 day")
    phone.request_upload()
    phone.leave()
    assert world.counts("after_hours_photo_uploads", "after_hours_departures") == [1, 1]
    world.pass_time(hours=1)
    with world.connection() as database:
        assert database.fetch_one(retention._FORGET_DEPARTED)["forgotten"] == 20
    assert world.sweep()["departedForgotten"] == 25
    forgotten = ("after_hours_sessions", "after_hours_photo_uploads", "after_hours_departures")
    assert world.counts(*forgotten) == [0, 0, 0]


def test_a_member_who_comes_back_within_the_hour_keeps_sessions_and_limits(phone: Phone, world: World) -> None:
    world.rows(ENDED, 11, "1 minute")
    phone.start()
    phone.leave()
    phone.create_profile()
    with refused("429 TOO_MANY_STARTS"):
        phone.start()
    world.pass_time(hours=1)
    world.sweep()
    assert world.counts("after_hours_sessions", "after_hours_departures") == [12, 0]


@pytest.mark.parametrize(
    ("minutes", "ended", "reasons"), [(0, False, ["account_deleted"]), (31, False, ["expired"]), (0, True, [])]
)
def test_an_account_that_the_main_app_deletes_takes_session_and_photo_with_it(
    phone: Phone, world: World, minutes: int, ended: bool, reasons: list[str]
) -> None:
    """The main app's role needs no right to our tables, nor a search path of ours."""
    phone.start()
    if ended:
        phone.end()
    world.pass_time(minutes=minutes)
    world.rows("UPDATE after_hours_profiles SET photo_url = 'after-hours-photos/k.jpg', photo_number = 1")
    world.rows("DROP ROLE IF EXISTS main_app; CREATE ROLE main_app; GRANT SELECT, DELETE ON users TO main_app")
    try:
        world.rows(
            "SET ROLE main_app; SET search_path = pg_catalog; DELETE FROM public.users WHERE id = 'local-entitled'"
        )
    finally:
        world.rows("RESET ROLE; RESET search_path; DROP OWNED BY main_app; DROP ROLE main_app")
    assert world.counts("after_hours_sessions", "after_hours_departures") == [0, 1]
    deletions = "SELECT key FROM after_hours_outbox WHERE kind = 'r2' ORDER BY 1"
    assert world.rows(deletions) == [("after-hours-photos/k.jpg",), ("after-hours-photos/k_thumb.jpg",)]
    assert world.rows(
        "SELECT payload ->> 'type', payload #>> '{detail,reason}', due_at <= now() FROM after_hours_outbox"
        " WHERE kind = 'event'"
    ) == [("SessionEnded", reason, True) for reason in reasons]


# Two sessions ended long ago. The tables of the main app reference that of `local-entitled`, or none. The SQL
# function that looks for references has the rights of the owner of our tables, which is seldom the owner of theirs.
SESSIONS = """
    INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)
    SELECT member, ended.at, ended.at, ended.at
    FROM unnest('{local-entitled,local-other}'::text[]) AS member, (SELECT now() - interval '91 days' AS at) AS ended
"""
READ_AS = """
    DROP ROLE IF EXISTS keeper; CREATE ROLE keeper; CREATE SCHEMA main_app; GRANT USAGE ON SCHEMA main_app TO keeper;
    ALTER DEFAULT PRIVILEGES IN SCHEMA main_app GRANT SELECT ON TABLES TO keeper;
    ALTER FUNCTION after_hours_referenced_sessions OWNER TO keeper;
"""
UNDONE = """
    ALTER FUNCTION after_hours_referenced_sessions OWNER TO CURRENT_USER;
    DROP SCHEMA main_app CASCADE;
    ALTER TABLE after_hours_sessions DROP CONSTRAINT IF EXISTS begun;
    DROP OWNED BY keeper; DROP ROLE keeper
"""
ROW = "INSERT INTO main_app.matches (session_id) SELECT id FROM after_hours_sessions WHERE user_id = 'local-entitled'"
PLAIN = "CREATE TABLE main_app.matches (session_id UUID REFERENCES after_hours_sessions (id) ON DELETE"

# What the main app has → which sessions are still there after a sweep
REFERENCES = {
    "deleted with it": (f"{PLAIN} CASCADE); {ROW}", {"local-entitled"}),
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


@pytest.mark.parametrize("kind", REFERENCES)
def test_a_session_stays_as_long_as_something_may_hang_on_it(world: World, kind: str) -> None:
    """Whatever kind of table references it. What cannot be looked at holds them all."""
    tables, kept = REFERENCES[kind]
    world.rows(READ_AS + SESSIONS)
    try:
        world.rows(tables.replace("%", "%%"))
        world.sweep()
        assert {member for (member,) in world.rows("SELECT user_id FROM after_hours_sessions")} == kept
    finally:
        world.rows(UNDONE)
