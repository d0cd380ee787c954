"""Sessions that forget where they were, and remember what they warned of.

The locations of sessions that ended under the earlier backend are left to the sweep: a migration loses nothing.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

SESSIONS = """
-- A table of the earlier backend may lack what ours rely on.
ALTER TABLE after_hours_profiles
    ALTER photo_url SET DEFAULT '', ALTER created_at SET DEFAULT now(), ALTER updated_at SET DEFAULT now();
UPDATE after_hours_profiles
    SET created_at = coalesce(created_at, updated_at, now()), updated_at = coalesce(updated_at, created_at, now())
    WHERE created_at IS NULL OR updated_at IS NULL;
ALTER TABLE after_hours_sessions
    ALTER id SET DEFAULT gen_random_uuid(),
    ALTER created_at SET DEFAULT now(),
    ADD COLUMN warned_for TIMESTAMPTZ;
COMMENT ON COLUMN after_hours_sessions.warned_for IS
    'The expires_at the member was warned of, five minutes before. NULL: not warned yet.';

-- What the sweep looks for every minute, without reading the history.
CREATE INDEX after_hours_sessions_open ON after_hours_sessions (expires_at) WHERE ended_at IS NULL;
CREATE INDEX after_hours_sessions_located ON after_hours_sessions (id)
    WHERE ended_at IS NOT NULL AND num_nonnulls(latitude, longitude, fuzzed_latitude, fuzzed_longitude) > 0;
"""


def upgrade() -> None:
    op.execute(SESSIONS)
