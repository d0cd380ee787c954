"""Databases that a test migrates: the earlier backend's tables and rows in them, and looks at what became of them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event
from typing import Any

from migrations.upgrade import upgrade
from tools.local import postgres

EARLIER_TABLES = """
CREATE TABLE after_hours_profiles (
    user_id VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    photo_url TEXT NOT NULL,
    description TEXT,
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now()
);
CREATE TABLE after_hours_preferences (
    user_id VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    seeking_gender VARCHAR(50),
    max_distance_km INTEGER,
    interests TEXT[],
    min_age INTEGER,
    max_age INTEGER,
    sexual_orientation VARCHAR(50),
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now()
);
CREATE TABLE after_hours_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    latitude DECIMAL(10, 8) NOT NULL,
    longitude DECIMAL(11, 8) NOT NULL,
    fuzzed_latitude DECIMAL(10, 8) NOT NULL,
    fuzzed_longitude DECIMAL(11, 8) NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now()
);
CREATE UNIQUE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (user_id) WHERE ended_at IS NULL;
CREATE TABLE device_fingerprints (
    id UUID PRIMARY KEY, user_id VARCHAR(255), session_id UUID,
    device_id VARCHAR(255), device_model VARCHAR(100), platform VARCHAR(20), created_at TIMESTAMPTZ
);
"""
EARLIER_ROWS = """
INSERT INTO after_hours_profiles (user_id, photo_url, description, created_at) VALUES
    ('local-entitled', 'after-hours-photos/local-entitled/1.jpg', 'hello', '2026-01-01Z'),
    ('local-other', '', NULL, NULL);
INSERT INTO after_hours_preferences (user_id, seeking_gender, max_distance_km, interests, min_age, max_age) VALUES
    ('local-entitled', 'Female', 25, '{chess,jazz}', 25, 35);
INSERT INTO after_hours_sessions
    (user_id, started_at, expires_at, ended_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude) VALUES
    ('local-entitled', '2026-01-01Z', '2026-01-02Z', '2026-01-02Z', 52.5, 13.4, 52.501, 13.402),
    ('local-entitled', now(), now() + interval '1 hour', NULL, 48.1, 11.5, 48.101, 11.502),
    ('local-other', '2026-01-01Z', '2026-01-02Z', NULL, 52.5, 13.4, 52.501, 13.402);
INSERT INTO device_fingerprints VALUES (gen_random_uuid(), 'local-entitled', NULL, 'd', 'm', 'p', now());
"""


def run(database: postgres.Database, statement: str, *parameters: object) -> list[dict[str, Any]]:
    with closing(database.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        rows = cursor.fetchall() if cursor.description else []
        names = [column.name for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in rows]


def migrate(database: postgres.Database, revision: str = "head") -> None:
    """Migrate as the owner, for the role that serves."""
    upgrade(database.connect, revision, app_role="after_hours_app")


@contextmanager
def reading(database: postgres.Database, statement: str) -> Iterator[list[float]]:
    """Run the statement again and again meanwhile. The list is of the seconds that each took."""
    seconds: list[float] = []
    done = Event()

    def read() -> None:
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while not done.wait(0.05):
                began = time.monotonic()
                cursor.execute(statement)
                seconds.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            yield seconds
        finally:
            done.set()
            reader.result()


def structure(database: postgres.Database) -> list[tuple[Any, ...]]:
    """Columns with their types, the CHECK constraints, and the index that allows one open session."""
    rows = run(
        database,
        """
        SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'
            AND (table_name LIKE 'after_hours%' OR table_name = 'device_fingerprints')
        UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE contype = 'c' AND conrelid::regclass::text LIKE 'after_hours%'
        UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes
            WHERE indexname = 'idx_after_hours_sessions_active_user'
        ORDER BY 1, 2, 3
        """,
    )
    return [tuple(row.values()) for row in rows]
