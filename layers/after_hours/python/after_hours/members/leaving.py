"""A member leaves: the session ends, and profile, preferences, places, devices and photos are deleted.

The rows that the hourly limits count stay for an hour. Sessions that the main app's tables reference stay, without
places (`retention`).
"""

from after_hours.entrypoints.errors import ProfileNotFound
from after_hours.foundation.database import Database
from after_hours.foundation.observability import count
from after_hours.outbox import relay, schedules

# The locks wait for a start or a photo under way; later ones find no profile. Releases before the function
# after_hours_lock_member lock the profile alone. A row of after_hours_departures tells `retention` that the member has
# left. Deleting an account in the main app also deletes the profile, so a trigger on after_hours_profiles writes the
# departure and the deletions of the photo's objects. This statement returns those deletions, for `do_now`, without
# writing them, and writes a departure only for preferences without a profile.
_LEAVE = """
    SELECT after_hours_lock_member(%(user_id)s);
    SELECT FROM after_hours_profiles WHERE user_id = %(user_id)s FOR UPDATE;
    WITH profile AS (
        DELETE FROM after_hours_profiles WHERE user_id = %(user_id)s RETURNING user_id, photo_url
    ), preferences AS (
        DELETE FROM after_hours_preferences WHERE user_id = %(user_id)s RETURNING user_id
    ), departure AS (
        INSERT INTO after_hours_departures (user_id) SELECT user_id FROM preferences
        WHERE NOT EXISTS (SELECT FROM profile)
        ON CONFLICT (user_id) DO UPDATE SET forget_at = excluded.forget_at
    ), session AS (
        SELECT id, expires_at, ended_at, event FROM after_hours_end_sessions(
            ARRAY(SELECT id FROM after_hours_sessions WHERE user_id = %(user_id)s AND ended_at IS NULL),
            'profile_deleted'
        )
    ), devices AS (
        DELETE FROM device_fingerprints device USING after_hours_sessions s
        WHERE s.user_id = %(user_id)s AND device.session_id = s.id
    ), cancelled AS (
        UPDATE after_hours_photo_uploads SET status = 'removed', reason = NULL, changed_at = now()
        WHERE user_id = %(user_id)s AND status IN ('pending', 'processing', 'failed')
        RETURNING id, user_id
    ), settled AS (
        UPDATE after_hours_photo_uploads SET status = 'removed', reason = NULL, changed_at = now()
        WHERE user_id = %(user_id)s AND status IN ('ready', 'rejected')
    ), deletions AS (
        SELECT to_jsonb(task) AS task FROM (
            SELECT array_agg('uploads'::text) AS stores, array_agg(after_hours_upload_key(user_id, id)) AS keys
            FROM cancelled
        ) AS objects, after_hours_put_deletions(objects.stores, objects.keys) AS task
        UNION ALL SELECT jsonb_build_object(
            'kind', object.store, 'key', object.key, 'payload', jsonb_build_object(), 'attempts', 0,
            'version', pg_current_xact_id()::text::bigint
        )
        FROM profile, after_hours_photo_objects(profile.photo_url) AS object
    )
    SELECT
        EXISTS (SELECT FROM profile UNION ALL SELECT FROM preferences) AS left_something,
        (SELECT jsonb_agg(task) FROM deletions) AS deletions,
        session.id, session.ended_at < session.expires_at AS ended_early, session.event
    FROM (VALUES (1)) AS one LEFT JOIN session ON true
"""


def leave(database: Database, user_id: str) -> None:
    """Delete the member's After Hours data. Raises `ProfileNotFound` if there is neither a profile nor preferences.

    Schedules and photos are outside the database. They are deleted after the commit, best effort; the sweep retries.
    """
    row = database.fetch_one(_LEAVE, {"user_id": user_id})
    tasks = [*filter(None, [row["event"]]), *(row["deletions"] or ())]
    if row["ended_early"]:
        tasks.append(schedules.task_of(row["id"], row["event"]["version"], None))
    relay.do_now(database, tasks)
    if not row["left_something"]:
        raise ProfileNotFound
    count("ProfilesDeleted")
