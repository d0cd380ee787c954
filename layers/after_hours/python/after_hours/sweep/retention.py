"""What is forgotten, and when: sessions, their devices, and uploads. The sweep does it, a small batch at a time.

Ended sessions are deleted after 90 days. Those of someone without a profile are deleted after an hour; until then the
hourly limits are counted on them. A session that a table of the main app references is kept, since the app's matches
and messages would be deleted with it, and is looked at again 90 days later. A device's row is deleted with its session,
or after 180 days when the session is kept.
"""

import time

from after_hours.foundation.batches import repeat
from after_hours.foundation.database import Database

# The sessions are locked before the statement checks which of them are referenced. A transaction that wants to
# reference one waits for the lock, and then finds that the session is gone, or was kept. Deleting a session waits for
# the rows that go with it, so sessions of a member whom the main app is deleting, or who is leaving, are left alone.
# A batch is small, so that it ends within the role's statement_timeout of five seconds: for each session, PostgreSQL
# reads the whole of a referencing table that has no index on the reference (a quarter of a second for a million rows).
# No longer timeout is set here, since RDS Proxy would tie the function to one connection for it.
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

# A member who has come back has a profile, and the ordinary 90 days apply to the remaining sessions. A departure is
# over when the member has no session to delete. Until then it stays due while batches are full; else it is due again in
# ten minutes, and so is that of a member whom another transaction locks.
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
    """Forget sessions that ended 90 days ago, unless another table references them. Returns how many there were."""
    forgotten = 0
    while time.monotonic() < deadline:
        batch = database.fetch_one(_FORGET_SESSIONS)
        forgotten += batch["forgotten"]
        if not batch["forgotten"] + batch["kept"]:
            break
    return forgotten


def forget_departed(database: Database, deadline: float) -> int:
    """Forget sessions and uploads of members who left an hour ago. Returns how many sessions there were."""
    forgotten = 0
    while time.monotonic() < deadline:
        batch = database.fetch_one(_FORGET_DEPARTED)
        forgotten += batch["forgotten"]
        if not batch["departed"]:
            break
    return forgotten


def forget_uploads(database: Database, deadline: float) -> int:
    """Forget each upload a day after its request, once there is a newer one. Returns how many there were."""
    return repeat(lambda: database.execute(_FORGET_UPLOADS), deadline)
