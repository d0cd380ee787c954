"""The tables as the earlier backend made them, where they do not exist yet.

From here on a new database and one that has served members for a year are the same, but for the rows.
"""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS after_hours_consent BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS after_hours_consent_at TIMESTAMPTZ;

CREATE TABLE IF NOT EXISTS after_hours_profiles (
    user_id VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    photo_url TEXT NOT NULL DEFAULT '',
    description TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS after_hours_preferences (
    user_id VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    seeking_gender VARCHAR(50),
    max_distance_km INTEGER,
    interests TEXT[],
    min_age INTEGER,
    max_age INTEGER,
    sexual_orientation VARCHAR(50),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS after_hours_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    latitude DECIMAL(10, 8) NOT NULL,
    longitude DECIMAL(11, 8) NOT NULL,
    fuzzed_latitude DECIMAL(10, 8),
    fuzzed_longitude DECIMAL(11, 8),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX IF NOT EXISTS idx_after_hours_sessions_active_user
    ON after_hours_sessions (user_id) WHERE ended_at IS NULL;

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


def upgrade() -> None:
    op.execute(TABLES)
