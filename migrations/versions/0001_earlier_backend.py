"""The tables as the earlier backend made them, where they do not exist yet, and made to fit where they differ.

From here on a new database and one that has served members for a year are the same, but for the rows.
"""

from alembic import op

from migrations import earlier_backend

revision = "0001"
down_revision = None

# What has one of our names, whatever kind of constraint it is, makes way for ours (revision 0003).
NAMES = """
ALTER TABLE IF EXISTS after_hours_profiles
    DROP CONSTRAINT IF EXISTS after_hours_profiles_description;
ALTER TABLE IF EXISTS after_hours_preferences
    DROP CONSTRAINT IF EXISTS after_hours_preferences_seeking_gender,
    DROP CONSTRAINT IF EXISTS after_hours_preferences_max_distance_km,
    DROP CONSTRAINT IF EXISTS after_hours_preferences_ages,
    DROP CONSTRAINT IF EXISTS after_hours_preferences_sexual_orientation;
ALTER TABLE IF EXISTS after_hours_sessions
    DROP CONSTRAINT IF EXISTS after_hours_sessions_location,
    DROP CONSTRAINT IF EXISTS after_hours_sessions_fuzzed_location;
"""


def upgrade() -> None:
    op.execute(NAMES)
    earlier_backend.make_to_fit()
