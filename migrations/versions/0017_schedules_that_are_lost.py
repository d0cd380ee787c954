"""The sweep finds the live session whose schedules were made longest ago."""

from alembic import op

revision = "0017"
down_revision = "0016"

INDEX = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS after_hours_sessions_scheduled
    ON after_hours_sessions (schedule_due_at) WHERE ended_at IS NULL AND scheduled_for = expires_at
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # a build waits for transactions that are older; it holds up nobody
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS after_hours_sessions_scheduled")  # of a build that was broken off
        op.execute(INDEX)
        op.execute("RESET lock_timeout")
