"""Many members and sessions, made by the database itself, for tests and benchmarks of scale."""

from functools import partial

from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

# A table of the main app that references a tenth of the ended sessions. Deleting a session deletes its matches, so both
# columns have their index.
_MATCHES = """
    CREATE TABLE after_hours_matches (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        session_id UUID NOT NULL REFERENCES after_hours_sessions (id) ON DELETE CASCADE
    );
    CREATE INDEX ON after_hours_matches (user_id);
    CREATE INDEX ON after_hours_matches (session_id);
    INSERT INTO after_hours_matches (user_id, session_id)
    SELECT user_id, id FROM after_hours_sessions WHERE ended_at IS NOT NULL AND hashtext(id::text) %% 10 = 0
"""

# Everyone is entitled, and has had a photo for some days.
_MEMBERS = """
    INSERT INTO users (id, provider, id_verified, after_hours_consent)
    SELECT 'member-' || n, 'google', true, true FROM generate_series(1, %(number)s) n;
    INSERT INTO profiles (user_id, name, age, gender, sexual_preference)
    SELECT 'member-' || n, 'A', 30, 'Female', 'Straight' FROM generate_series(1, %(number)s) n;
    INSERT INTO user_subscriptions (user_id, is_active)
    SELECT 'member-' || n, true FROM generate_series(1, %(number)s) n;
    INSERT INTO after_hours_profiles (user_id)
    SELECT 'member-' || n FROM generate_series(1, %(number)s) n;
    INSERT INTO after_hours_preferences (user_id)
    SELECT 'member-' || n FROM generate_series(1, %(number)s) n;
    INSERT INTO after_hours_photo_uploads (user_id, status, requested_at, changed_at)
    SELECT 'member-' || n, 'ready', now() - interval '2 days', now() - interval '2 days'
    FROM generate_series(1, %(number)s) n;
"""

# The sessions are spread over the last 80 days: none is old enough to be deleted, so that their number stays the same.
_ENDED = """
    WITH ended AS (
        INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)
        SELECT 'member-' || n, day.began, day.began + interval '30 minutes', day.began + interval '20 minutes'
        FROM generate_series(1, %(number)s) n
            CROSS JOIN LATERAL (SELECT now() - interval '1 day' * (1 + n * 7 %% 80) AS began) AS day
        RETURNING id, user_id, started_at
    )
    INSERT INTO device_fingerprints (user_id, session_id, device_id, created_at)
    SELECT user_id, id, 'device', started_at FROM ended
"""

# These sessions have their schedules, and nothing is due for hours.
_LIVE = """
    INSERT INTO after_hours_sessions
        (user_id, started_at, expires_at, fuzzed_latitude, fuzzed_longitude, scheduled_for)
    SELECT 'member-' || n, now(), times.expires_at, 52.5, 13.4, times.expires_at
    FROM generate_series(1, %(number)s) n
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


def _run(statement: str, connection: Connection, number: int = 0) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, {"number": number})


# Each for so many members, `member-1` and on: `join(connection, 1000)`.
join, end_sessions, go_live = partial(_run, _MEMBERS), partial(_run, _ENDED), partial(_run, _LIVE)
match = partial(_run, _MATCHES)


def analyze(connection: Connection) -> None:
    """Let PostgreSQL know the sizes, as its autovacuum would in a minute."""
    connection.rollback()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.autocommit = False
