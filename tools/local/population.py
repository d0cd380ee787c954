"""Many members and sessions, made by the database itself, for tests and benchmarks of scale."""

from typing import NamedTuple

from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

# The table is as the main app has it. Deleting a session deletes its matches, so both columns have their index.
MATCHES = """
    CREATE TABLE after_hours_matches (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        session_id UUID NOT NULL REFERENCES after_hours_sessions (id) ON DELETE CASCADE
    );
    CREATE INDEX ON after_hours_matches (user_id);
    CREATE INDEX ON after_hours_matches (session_id);
"""

# Everyone is entitled, and has had a photo for some days.
_MEMBERS = """
    INSERT INTO users (id, provider, id_verified, after_hours_consent)
    SELECT 'member-' || n, 'google', true, true FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO profiles (user_id, name, age, gender, sexual_preference)
    SELECT 'member-' || n, 'A', 30, 'Female', 'Straight' FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO user_subscriptions (user_id, is_active)
    SELECT 'member-' || n, true FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO after_hours_profiles (user_id)
    SELECT 'member-' || n FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO after_hours_preferences (user_id)
    SELECT 'member-' || n FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO after_hours_photo_uploads (user_id, status, requested_at, changed_at)
    SELECT 'member-' || n, 'ready', now() - interval '2 days', now() - interval '2 days'
    FROM generate_series(%(first)s, %(last)s) n;
"""

# The sessions are spread over the last 80 days: none is old enough to be deleted, so that their number stays the same.
_ENDED = """
    WITH ended AS (
        INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)
        SELECT 'member-' || n, day.began, day.began + interval '30 minutes', day.began + interval '20 minutes'
        FROM generate_series(%(first)s, %(last)s) n
            CROSS JOIN LATERAL generate_series(1, %(each)s) AS nth
            CROSS JOIN LATERAL (SELECT now() - interval '1 day' * (1 + (n * 7 + nth * 8) %% 80) AS began) AS day
        RETURNING id, user_id, started_at
    ), devices AS (
        INSERT INTO device_fingerprints (user_id, session_id, device_id, created_at)
        SELECT user_id, id, 'device', started_at FROM ended
    )
    SELECT count(*) FROM ended
"""

_MATCHED = """
    INSERT INTO after_hours_matches (user_id, session_id)
    SELECT user_id, id FROM after_hours_sessions s
    WHERE ended_at IS NOT NULL AND hashtext(id::text) %% 10 = 0
        AND NOT EXISTS (SELECT FROM after_hours_matches m WHERE m.session_id = s.id)
"""

# These sessions have their schedules, and nothing is due for hours.
_LIVE = """
    INSERT INTO after_hours_sessions
        (user_id, started_at, expires_at, fuzzed_latitude, fuzzed_longitude, scheduled_for)
    SELECT 'member-' || n, now(), times.expires_at, 52.5, 13.4, times.expires_at
    FROM generate_series(%(first)s, %(last)s) n
        CROSS JOIN LATERAL (SELECT now() + interval '5 hours' + interval '10 ms' * (n %% 100000) AS expires_at) AS times
"""

# These rows were tried before and are backing off: the sweep may not take them yet.
WAITING = """
    INSERT INTO after_hours_outbox (kind, key, payload, due_at, attempts)
    SELECT 'event', gen_random_uuid(), '{"type": "SessionEnded", "occurredAt": "2026-01-01T00:00:00Z", "detail": {}}',
        now() + interval '10 minutes', n %% 7
    FROM generate_series(1, %(number)s) n;
    INSERT INTO after_hours_outbox (kind, key, due_at, attempts)
    SELECT CASE n %% 2 WHEN 0 THEN 'r2' ELSE 'uploads' END, 'key-' || n, now() + interval '10 minutes', n %% 7
    FROM generate_series(1, %(number)s) n;
    INSERT INTO after_hours_departures (user_id, forget_at)
    SELECT 'departed-' || n, now() + interval '1 hour' FROM generate_series(1, %(number)s) n
"""


class Members(NamedTuple):
    """Members with these numbers, both included: `member-<number>`."""

    first: int
    last: int


def join(connection: Connection, members: Members) -> None:
    """Let these members join: entitled, with a profile, preferences and a photo."""
    _run(connection, _MEMBERS, members)


def end_sessions(connection: Connection, members: Members, *, each: int) -> None:
    """Give each member so many ended sessions with a device, none of which may be forgotten yet."""
    _run(connection, _ENDED, members, each=each)


def match(connection: Connection) -> None:
    """Let a table of the main app reference a tenth of the ended sessions. The table is made if it is missing."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('after_hours_matches') IS NULL")
        if cursor.fetchone() == (True,):
            cursor.execute(MATCHES)
        cursor.execute(_MATCHED, {})


def go_live(connection: Connection, members: Members) -> None:
    """Give each member a live session of some hours, with its schedules."""
    _run(connection, _LIVE, members)


def analyze(connection: Connection) -> None:
    """Let PostgreSQL know the sizes, as its autovacuum would in a minute."""
    connection.rollback()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.autocommit = False


def _run(connection: Connection, statement: str, members: Members, **further: int) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, members._asdict() | further)
