"""Do in short transactions, and before, what revisions 0001 and 0006 do to an earlier backend's tables in a long one.

Both run all of `earlier_backend` in one transaction. It locks `users`, for its columns and for references to it, and
keeps the lock while it rewrites a million sessions: meanwhile the main app could read no member. So each part runs here
first, in a transaction of its own. The revisions, which have been released and cannot change, then find nothing to do.

Each part is idempotent: it changes only what does not fit.
"""

from importlib import import_module

from after_hours.foundation.observability import logger
from sqlalchemy import Connection, text

from migrations import earlier_backend
from migrations.commands import run_missing

LAST_PREPARED = "0006"

# A default that does not depend on the row rewrites no table.
_COLUMNS_OF_USERS = """
SELECT format('ALTER TABLE users %s', string_agg(format('ADD %I %s', column_name, definition), ', '))
FROM (VALUES
    ('after_hours_consent', 'BOOLEAN NOT NULL DEFAULT false'),
    ('after_hours_consent_at', 'TIMESTAMPTZ')
) AS wanted (column_name, definition)
WHERE NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = column_name AND NOT attisdropped
)
HAVING count(*) > 0
"""

# The foreign key is NOT VALID at first, since a check of all rows would keep the table locked.
_COLUMNS_OF_DEVICES = """
SELECT format('ALTER TABLE device_fingerprints %s', string_agg(format('ADD %I %s', column_name, definition), ', '))
FROM (VALUES
    ('session_id', 'UUID, ADD CONSTRAINT after_hours_devices_of_session FOREIGN KEY (session_id)'
        ' REFERENCES after_hours_sessions (id) ON DELETE CASCADE NOT VALID'),
    ('device_id', 'VARCHAR(255)'),
    ('device_model', 'VARCHAR(100)'),
    ('platform', 'VARCHAR(20)'),
    ('created_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()')
) AS wanted (column_name, definition)
WHERE NOT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = 'device_fingerprints'::regclass AND attname = column_name AND NOT attisdropped
)
HAVING count(*) > 0
"""

_NOT_VALIDATED = """
SELECT 'ALTER TABLE device_fingerprints VALIDATE CONSTRAINT after_hours_devices_of_session' FROM pg_constraint
WHERE conrelid = 'device_fingerprints'::regclass AND conname = 'after_hours_devices_of_session' AND NOT convalidated
"""

# Where the time zone is UTC, a TIMESTAMP is stored as the TIMESTAMPTZ that it stands for, and a VARCHAR as a TEXT:
# PostgreSQL changes the type and rewrites no row. The revisions' USING … AT TIME ZONE 'UTC' would rewrite the table.
_TYPES = """
SELECT format(
    'SET LOCAL TimeZone = ''UTC''; ALTER TABLE %s %s', attrelid::regclass,
    string_agg(format('ALTER %I TYPE %s', attname, type), ', ')
)
FROM pg_attribute,
    LATERAL (SELECT CASE atttypid WHEN 'timestamp'::regtype THEN 'TIMESTAMPTZ' ELSE 'TEXT' END AS type) AS ours
WHERE attnum > 0 AND NOT attisdropped
    AND attrelid = ANY ('{after_hours_profiles,after_hours_preferences,after_hours_sessions}'::regclass[])
    AND (atttypid = 'timestamp'::regtype OR (attname = 'description' AND atttypid <> 'text'::regtype))
GROUP BY attrelid
"""

# A module's name that begins with a digit cannot stand in an import statement.
_NAMES: str = import_module("migrations.versions.0001_earlier_backend").NAMES


def prepare(connection: Connection, current: str | None) -> None:
    """Make an earlier backend's tables fit, before the revisions up to LAST_PREPARED run; `current` has been run.

    Raises `MigrationFailed`, with the commands, when another role owns a table that lacks columns.
    """
    if connection.scalar(text("SELECT to_regclass('users') IS NULL")):
        return  # revision 0001 refuses such a database
    _run_missing(connection, _COLUMNS_OF_USERS)
    if current is None:
        _run(connection, _NAMES)
    _run(connection, earlier_backend.TABLES)
    for query in (_COLUMNS_OF_DEVICES, _NOT_VALIDATED):
        _run_missing(connection, query)
    _run(connection, earlier_backend.RULES)
    _run_missing(connection, _TYPES)
    _run(connection, earlier_backend.NULLS)
    for wrong, statement in earlier_backend.REPAIRS.items():
        if repaired := _run(connection, statement, white_space=earlier_backend.WHITE_SPACE):
            logger.info("rows of an earlier backend repaired", wrong=wrong, rows=repaired)


def _run_missing(connection: Connection, query: str) -> None:
    run_missing(connection, query, {}, failing="a table does not fit")


def _run(connection: Connection, statement: str, **parameters: str) -> int:
    rows = connection.execute(text(statement), parameters).rowcount
    connection.commit()
    return rows
