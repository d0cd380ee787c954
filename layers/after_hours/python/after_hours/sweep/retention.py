"""The sweep deletes old sessions, their device rows, and old uploads, a small batch at a time.

Ended sessions are deleted after 90 days. If the member has no profile, they are deleted after an hour, for which the
hourly limits need them. A session that a table of the main app references is kept, because the app's matches and
messages would be deleted with it; it is checked again 90 days later. A device row is deleted with its session, or
after 180 days if the session is kept. `deadline` is a time of `time.monotonic`, in seconds.
"""

import time

from after_hours.foundation.batches import repeat
from after_hours.foundation.database import Database

# The statement locks the sessions before it checks which of them are referenced. A transaction that inserts a reference
# waits for that lock, and afterwards finds the session either deleted or kept. The deletion of a session waits for
# locks on the rows that reference it, so members who are leaving, or whom the main app is deleting, are skipped. The
# batch is small enough for the role's statement_timeout of five seconds: for each session PostgreSQL scans every
# referencing table without an index on the reference (a quarter of a second for a million rows). The statement sets no
# longer timeout, because RDS Proxy would pin the connection.
_FORGET_SESSIONS = """
    WITH overdue AS MATERIALIZED (
        SELECT id, user_id FROM after_hours_sessions
        WHERE ended_at IS NOT NULL AND coalesce(last_referenced_at, ended_at) < now() - interval '90 days'
        ORDER BY coalesce(last_referenced_at, ended_at) LIMIT 20
        FOR UPDATE SKIP LOCKED
    ), free AS MATERIALIZED (
        SELECT user_id FROM after_hours_try_lock_members(ARRAY(SELECT DISTINCT user_id::text FROM overdue)) AS user_id
    ), old AS MATERIALIZED (
        SELECT id FROM overdue JOIN free USING (user_id)
    ), kept AS MATERIALIZED (
        SELECT DISTINCT id
        FROM (SELECT array_agg(id) AS ids FROM old) AS all_old, after_hours_referenced_sessions(all_old.ids) AS id
    ), devices AS (
        DELETE FROM device_fingerprints
        WHERE session_id = ANY(ARRAY(SELECT id FROM old))
            AND (created_at < now() - interval '180 days' OR session_id <> ALL(ARRAY(SELECT id FROM kept)))
    ), looked_at AS (
        UPDATE after_hours_sessions SET last_referenced_at = now() WHERE id = ANY(ARRAY(SELECT id FROM kept))
        RETURNING id
    ), forgotten AS (
        DELETE FROM after_hours_sessions
        WHERE id = ANY(ARRAY(SELECT id FROM old)) AND id <> ALL(ARRAY(SELECT id FROM kept))
        RETURNING id
    )
    SELECT (SELECT count(*) FROM looked_at) AS kept, (SELECT count(*) FROM forgotten) AS forgotten
"""

# A member who has come back has a profile, and the 90 days apply to the remaining sessions. A departure is deleted when
# the member has no session left to delete. Until then it stays due while batches are full, and otherwise is due again
# in ten minutes. The same holds for a member whom another transaction has locked.
_FORGET_DEPARTED = """
    WITH departed AS MATERIALIZED (
        SELECT user_id FROM after_hours_departures WHERE forget_at <= now() ORDER BY forget_at LIMIT 20
        FOR UPDATE SKIP LOCKED
    ), free AS MATERIALIZED (
        SELECT user_id FROM after_hours_try_lock_members(ARRAY(SELECT user_id::text FROM departed)) AS user_id
    ), away AS MATERIALIZED (
        SELECT user_id FROM departed JOIN free USING (user_id)
        WHERE NOT EXISTS (SELECT FROM after_hours_profiles profile WHERE profile.user_id = departed.user_id)
    ), old AS MATERIALIZED (
        SELECT s.id FROM away JOIN LATERAL (
            SELECT id FROM after_hours_sessions
            WHERE user_id = away.user_id AND ended_at <= now() - interval '1 hour' AND last_referenced_at IS NULL
            ORDER BY started_at LIMIT 20
            FOR UPDATE SKIP LOCKED
        ) AS s ON true
        LIMIT 20
    ), kept AS MATERIALIZED (
        SELECT DISTINCT id
        FROM (SELECT array_agg(id) AS ids FROM old) AS all_old, after_hours_referenced_sessions(all_old.ids) AS id
    ), looked_at AS (
        UPDATE after_hours_sessions SET last_referenced_at = now() WHERE id = ANY(ARRAY(SELECT id FROM kept))
    ), devices AS (
        DELETE FROM device_fingerprints WHERE session_id = ANY(ARRAY(SELECT id FROM old))
    ), forgotten AS (
        DELETE FROM after_hours_sessions
        WHERE id = ANY(ARRAY(SELECT id FROM old)) AND id <> ALL(ARRAY(SELECT id FROM kept))
        RETURNING id
    ), uploads AS (
        DELETE FROM after_hours_photo_uploads WHERE user_id = ANY(ARRAY(SELECT user_id FROM away))
    ), waiting AS MATERIALIZED (
        SELECT user_id FROM away WHERE EXISTS (
            SELECT FROM after_hours_sessions s
            WHERE s.user_id = away.user_id AND s.last_referenced_at IS NULL
                AND NOT EXISTS (SELECT FROM old WHERE old.id = s.id)
        )
        UNION ALL SELECT user_id FROM departed
        WHERE EXISTS (SELECT FROM users WHERE users.id = departed.user_id)
            AND departed.user_id NOT IN (SELECT user_id FROM free)
    ), postponed AS (
        UPDATE after_hours_departures departure
        SET forget_at = now() + CASE WHEN (SELECT count(*) FROM old) < 20 THEN interval '10 minutes' ELSE '0' END
        FROM waiting WHERE departure.user_id = waiting.user_id
    ), over AS (
        DELETE FROM after_hours_departures departure USING departed
        WHERE departure.user_id = departed.user_id
            AND NOT EXISTS (SELECT FROM waiting WHERE waiting.user_id = departed.user_id)
    )
    SELECT (SELECT count(*) FROM departed) AS departed, (SELECT count(*) FROM forgotten) AS forgotten
"""

_FORGET_UPLOADS = """
    WITH superseded AS (
        SELECT id FROM after_hours_photo_uploads WHERE forget_at <= now() ORDER BY forget_at LIMIT 500
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM after_hours_photo_uploads WHERE id = ANY(ARRAY(SELECT id FROM superseded))
"""


def forget_sessions(database: Database, deadline: float) -> int:
    """Delete sessions that ended 90 days ago, unless another table references them. Return the number deleted."""
    forgotten = 0
    while time.monotonic() < deadline:
        batch = database.fetch_one(_FORGET_SESSIONS)
        forgotten += batch["forgotten"]
        if not batch["forgotten"] + batch["kept"]:
            break
    return forgotten


def forget_departed(database: Database, deadline: float) -> int:
    """Delete sessions and uploads of members who left an hour ago. Return the number of sessions deleted."""
    forgotten = 0
    while time.monotonic() < deadline:
        batch = database.fetch_one(_FORGET_DEPARTED)
        forgotten += batch["forgotten"]
        if not batch["departed"]:
            break
    return forgotten


def forget_uploads(database: Database, deadline: float) -> int:
    """Delete uploads that were requested a day ago and that a newer one supersedes. Return the number deleted."""
    return repeat(lambda: database.execute(_FORGET_UPLOADS), deadline)
