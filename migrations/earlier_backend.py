"""The tables as the earlier backend made them: made where they do not exist, and made to fit where they differ.

Each block may run again, and changes only what does not fit. Revision 0001 runs them, and every later one relies on
them; 0006 runs them again, for a database that passed 0001 when it did less.

Our own are the after_hours tables. `users` and `device_fingerprints` may belong to the main app and to another role:
they are altered only where something is missing or in the way, for even an ALTER that has nothing to do wants the owner
and waits for every reader.
"""

from after_hours.foundation.observability import logger
from alembic import op
from sqlalchemy import text

TABLES = """
CREATE TABLE IF NOT EXISTS after_hours_profiles (
    user_id VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE
);
ALTER TABLE after_hours_profiles
    ADD COLUMN IF NOT EXISTS photo_url TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS description TEXT,
    ADD COLUMN IF NOT EXISTS created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at TIMESTAMPTZ NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS after_hours_preferences (
    user_id VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE
);
ALTER TABLE after_hours_preferences
    ADD COLUMN IF NOT EXISTS seeking_gender VARCHAR(50),
    ADD COLUMN IF NOT EXISTS max_distance_km INTEGER,
    ADD COLUMN IF NOT EXISTS interests TEXT[],
    ADD COLUMN IF NOT EXISTS min_age INTEGER,
    ADD COLUMN IF NOT EXISTS max_age INTEGER,
    ADD COLUMN IF NOT EXISTS sexual_orientation VARCHAR(50),
    ADD COLUMN IF NOT EXISTS created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at TIMESTAMPTZ NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS after_hours_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at TIMESTAMPTZ NOT NULL
);
ALTER TABLE after_hours_sessions
    ADD COLUMN IF NOT EXISTS started_at TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS ended_at TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS latitude DECIMAL(10, 8),
    ADD COLUMN IF NOT EXISTS longitude DECIMAL(11, 8),
    ADD COLUMN IF NOT EXISTS fuzzed_latitude DECIMAL(10, 8),
    ADD COLUMN IF NOT EXISTS fuzzed_longitude DECIMAL(11, 8),
    ADD COLUMN IF NOT EXISTS created_at TIMESTAMPTZ NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS device_fingerprints (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id UUID REFERENCES after_hours_sessions (id) ON DELETE CASCADE,
    device_id VARCHAR(255),
    device_model VARCHAR(100),
    platform VARCHAR(20),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
"""

COLUMNS_OF_SHARED_TABLES = """
DO $$
DECLARE
    missing RECORD;
BEGIN
    FOR missing IN
        SELECT * FROM (VALUES
            ('users'::regclass, 'after_hours_consent', 'BOOLEAN NOT NULL DEFAULT false'),
            ('users', 'after_hours_consent_at', 'TIMESTAMPTZ'),
            ('device_fingerprints', 'session_id', 'UUID REFERENCES after_hours_sessions (id) ON DELETE CASCADE'),
            ('device_fingerprints', 'device_id', 'VARCHAR(255)'),
            ('device_fingerprints', 'device_model', 'VARCHAR(100)'),
            ('device_fingerprints', 'platform', 'VARCHAR(20)'),
            ('device_fingerprints', 'created_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()')
        ) AS wanted (table_name, column_name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = table_name AND attname = column_name AND NOT attisdropped
        )
    LOOP
        EXECUTE format('ALTER TABLE %s ADD %I %s', missing.table_name, missing.column_name, missing.definition);
    END LOOP;
END
$$;
"""

# Rules of the earlier backend would refuse our repairs, or what our rules (the names below, revision 0003) allow.
RULES = """
DO $$
DECLARE
    rule RECORD;
BEGIN
    FOR rule IN
        SELECT conrelid::regclass AS table_name, conname AS name FROM pg_constraint
        WHERE contype = 'c'
            AND conrelid = ANY ('{after_hours_profiles,after_hours_preferences,after_hours_sessions}'::regclass[])
            AND conname NOT IN (
                'after_hours_profiles_description', 'after_hours_preferences_seeking_gender',
                'after_hours_preferences_max_distance_km', 'after_hours_preferences_ages',
                'after_hours_preferences_sexual_orientation', 'after_hours_sessions_location',
                'after_hours_sessions_fuzzed_location'
            )
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', rule.table_name, rule.name);
    END LOOP;
END
$$;
"""

# The earlier backend wrote UTC, with and without saying so; and its limit of a text may be below ours.
TYPES = """
DO $$
DECLARE
    narrow RECORD;
BEGIN
    FOR narrow IN
        SELECT
            attrelid::regclass AS table_name, attname AS name,
            CASE atttypid WHEN 'timestamp'::regtype THEN 'TIMESTAMPTZ USING %1$I AT TIME ZONE ''UTC''' ELSE 'TEXT' END
                AS type
        FROM pg_attribute
        WHERE attnum > 0 AND NOT attisdropped
            AND attrelid = ANY ('{after_hours_profiles,after_hours_preferences,after_hours_sessions}'::regclass[])
            AND (atttypid = 'timestamp'::regtype OR (attname = 'description' AND atttypid <> 'text'::regtype))
    LOOP
        EXECUTE format('ALTER TABLE ' || narrow.table_name || ' ALTER %1$I TYPE ' || narrow.type, narrow.name);
    END LOOP;
END
$$;
"""

# NOT NULL stays where we always write a value, goes where we may write NULL, and goes from further columns that have no
# default, for we do not write those at all.
NULLS = """
DO $$
DECLARE
    needless RECORD;
BEGIN
    FOR needless IN
        SELECT attrelid::regclass AS table_name, attname AS name
        FROM pg_attribute JOIN (VALUES
            ('after_hours_profiles'::regclass,
                '{user_id,photo_url,created_at,updated_at}'::name[], '{description}'::name[]),
            ('after_hours_preferences',
                '{user_id,seeking_gender,max_distance_km,min_age,max_age,created_at,updated_at}',
                '{sexual_orientation}'),
            ('after_hours_sessions',
                '{id,user_id,started_at,expires_at,created_at}',
                '{ended_at,latitude,longitude,fuzzed_latitude,fuzzed_longitude}'),
            ('device_fingerprints',
                '{id,user_id,created_at}', '{session_id,device_id,device_model,platform}')
        ) AS known (table_name, always_written, may_be_null) ON attrelid = table_name
        WHERE attnum > 0 AND NOT attisdropped AND attnotnull AND attidentity = ''
            AND NOT EXISTS (
                SELECT FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey)
            )
            AND (attname = ANY (may_be_null) OR NOT (atthasdef OR attname = ANY (always_written)))
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER %I DROP NOT NULL', needless.table_name, needless.name);
    END LOOP;
END
$$;
"""

# What the API trims: exactly the white space of Python's str.strip. None lies beyond the ideographic space.
WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))

REPAIRS = {
    "description untrimmed, empty or too long": """
        UPDATE after_hours_profiles SET
            description = nullif(btrim(left(btrim(description, :white_space), 500), :white_space), '')
        WHERE char_length(description) > 500 OR description = '' OR description <> btrim(description, :white_space)
    """,
    "sessions without their times": """
        UPDATE after_hours_sessions SET
            started_at = coalesce(started_at, least(created_at, expires_at), now()),
            expires_at = coalesce(expires_at, ended_at, started_at, created_at, now())
        WHERE started_at IS NULL OR expires_at IS NULL
    """,
    # All but the newest end, and with that forget where they were.
    "several open sessions of a member": """
        UPDATE after_hours_sessions SET
            ended_at = least(now(), expires_at),
            latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL
        WHERE id IN (
            SELECT id FROM (
                SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY started_at DESC, expires_at DESC) AS place
                FROM after_hours_sessions WHERE ended_at IS NULL
            ) AS open
            WHERE place > 1
        )
    """,
}

# The index is made anew, whatever there is by its name: an index of other columns, not unique, or a constraint.
ONE_OPEN_SESSION = """
ALTER TABLE after_hours_sessions
    ALTER started_at SET DEFAULT now(),
    ALTER started_at SET NOT NULL,
    ALTER expires_at SET NOT NULL,
    DROP CONSTRAINT IF EXISTS idx_after_hours_sessions_active_user;
DROP INDEX IF EXISTS idx_after_hours_sessions_active_user;
CREATE UNIQUE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (user_id) WHERE ended_at IS NULL;
"""


class NoUsersTable(Exception):
    """The database is not the main app's, or the role may not look into the schema that holds its tables."""


def make_to_fit() -> None:
    if op.get_bind().scalar(text("SELECT to_regclass('users') IS NULL")):
        raise NoUsersTable("the main app's table users is not in this database")
    for block in (TABLES, COLUMNS_OF_SHARED_TABLES, RULES, TYPES, NULLS):
        op.execute(block)
    repair(REPAIRS, white_space=WHITE_SPACE)
    op.execute(ONE_OPEN_SESSION)


def repair(repairs: dict[str, str], **parameters: str) -> None:
    """Run each statement, and tell of how many rows it was: never of which, nor of what was in them."""
    for wrong, statement in repairs.items():
        repaired = op.get_bind().execute(text(statement), parameters).rowcount
        if repaired:
            logger.info("rows of an earlier backend repaired", wrong=wrong, rows=repaired)
