"""Indexes for what the sweep looks for, for what leaves with a member, and for every foreign key of ours.

Each is built CONCURRENTLY: the main app goes on reading and writing, however long it takes.
"""

from after_hours.foundation.observability import logger
from alembic import op
from sqlalchemy import text

revision = "0009"
down_revision = "0008"

INDEXES = {
    # The account of a member, the member's own calls, and the starts of the last hour
    "after_hours_sessions_of_user": "after_hours_sessions (user_id, started_at)",
    "after_hours_sessions_live": "after_hours_sessions (id) WHERE ended_at IS NULL",
    "after_hours_sessions_unwarned": """
        after_hours_sessions (expires_at) WHERE ended_at IS NULL AND warned_for IS DISTINCT FROM expires_at
    """,
    "after_hours_sessions_unscheduled": """
        after_hours_sessions (schedule_due_at)
        WHERE scheduled_for IS DISTINCT FROM CASE WHEN ended_at IS NULL THEN expires_at END
    """,
    "after_hours_sessions_refused": "after_hours_sessions (schedule_attempts) WHERE schedule_attempts > 0",
    "after_hours_sessions_placed": """
        after_hours_sessions (id)
        WHERE num_nonnulls(latitude, longitude) > 0
            OR ended_at IS NOT NULL AND num_nonnulls(fuzzed_latitude, fuzzed_longitude) > 0
    """,
    "after_hours_sessions_retained": """
        after_hours_sessions (coalesce(last_referenced_at, ended_at)) WHERE ended_at IS NOT NULL
    """,
    "after_hours_domain_events_due": "after_hours_domain_events (due_at)",
    "after_hours_removals_due_in_store": "after_hours_removals (store, due_at)",
    "after_hours_domain_events_refused": "after_hours_domain_events (attempts) WHERE attempts > 0",
    "after_hours_removals_refused": "after_hours_removals (attempts) WHERE attempts > 0",
    "after_hours_photo_uploads_superseded": "after_hours_photo_uploads (forget_at) WHERE forget_at IS NOT NULL",
}

# device_fingerprints may be the main app's, and only the owner of a table can make an index of it.
DEVICE_INDEXES = {
    "after_hours_devices_of_session": "device_fingerprints (session_id)",
    "after_hours_devices_of_user": "device_fingerprints (user_id)",
}
OWN_DEVICES = """
    SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'device_fingerprints'::regclass
"""

# A build that was broken off leaves an index that is kept up to date and never used.
INVALID = "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)"

# Deleting a session or a member reads the whole of such a table, each time.
UNINDEXED = """
    SELECT DISTINCT format('CREATE INDEX CONCURRENTLY ON %s (%I)', attrelid::regclass, attname)
    FROM pg_attribute
    WHERE (
            attrelid = 'device_fingerprints'::regclass AND attname IN ('session_id', 'user_id')
            OR EXISTS (
                SELECT FROM pg_constraint
                WHERE contype = 'f' AND confrelid = 'after_hours_sessions'::regclass
                    AND conrelid = attrelid AND conkey[1] = attnum
            )
        )
        AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = attrelid AND indkey[0] = attnum AND indisvalid AND indpred IS NULL
        )
    ORDER BY 1
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # a build waits for transactions that are older; it holds up nobody
        for name, definition in INDEXES.items():
            _build(name, definition)
        if op.get_bind().execute(text(OWN_DEVICES)).scalar():
            for name, definition in DEVICE_INDEXES.items():
                _build(name, definition)
        op.execute("RESET lock_timeout")
        for (command,) in op.get_bind().execute(text(UNINDEXED)):
            logger.warning("an index is missing: leaving and retention are slow", command=command)


def _build(name: str, definition: str) -> None:
    if op.get_bind().execute(text(INVALID), {"name": name}).scalar():
        op.execute(f"DROP INDEX CONCURRENTLY {name}")
    op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}")
