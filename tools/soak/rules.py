"""Rules for the database: those of ALWAYS hold at any moment, those of AT_REST once things are quiet.

A rule's statement returns the rows that break it, as text that may be printed: ids and times, never a place.
"""

# At any moment, during any fault.
ALWAYS = {
    "has two open sessions": """
        SELECT user_id FROM after_hours_sessions WHERE ended_at IS NULL GROUP BY user_id HAVING count(*) > 1
    """,
    "is an ended session with a place": """
        SELECT id::text FROM after_hours_sessions
        WHERE ended_at IS NOT NULL AND num_nonnulls(latitude, longitude, fuzzed_latitude, fuzzed_longitude) > 0
    """,
    "is a session that was ended before its end": "SELECT key FROM soak.changes WHERE what = 'ended too early'",
    "is a photo that two functions made at once": "SELECT key FROM soak.changes WHERE what = 'claimed twice'",
    "is an upload leased for more than a minute": """
        SELECT id::text FROM after_hours_photo_uploads WHERE leased_until > now() + interval '61 seconds'
    """,
    "is an event that waits for more than ten minutes": """
        SELECT key || ' after ' || attempts || ' attempts' FROM after_hours_outbox
        WHERE kind = 'event' AND due_at > now() + interval '601 seconds'
    """,
    "is a failed deletion that waits for more than ten minutes": """
        SELECT key || ' after ' || attempts || ' attempts' FROM after_hours_outbox
        WHERE kind IN ('uploads', 'r2') AND attempts > 0 AND due_at > now() + interval '601 seconds'
    """,
    "is a deletion that waits for more than a day": """
        SELECT key FROM after_hours_outbox WHERE due_at > now() + interval '24 hours 1 minute'
    """,
    "is a session whose schedules wait for more than ten minutes": """
        SELECT key || ' after ' || attempts || ' attempts' FROM after_hours_outbox
        WHERE kind = 'schedules' AND due_at > now() + interval '601 seconds'
    """,
}

# Once no fault is injected any more, and sweeps have run.
AT_REST = {
    "is a session that is open past its end": """
        SELECT id::text FROM after_hours_sessions WHERE ended_at IS NULL AND expires_at < now() - interval '5 seconds'
    """,
    "is the live session of a member who is not entitled": """
        SELECT s.id::text FROM after_hours_sessions s LEFT JOIN users u ON u.id = s.user_id
        WHERE s.ended_at IS NULL AND s.expires_at > now() AND (
            u.id_verified IS NOT TRUE OR u.after_hours_consent IS NOT TRUE
            OR NOT EXISTS (SELECT FROM user_subscriptions p WHERE p.user_id = u.id AND p.is_active)
            OR NOT EXISTS (SELECT FROM after_hours_profiles a WHERE a.user_id = u.id)
        )
    """,
    "is a session that ends in minutes, without a warning": """
        SELECT id::text FROM after_hours_sessions
        WHERE ended_at IS NULL AND expires_at > now() AND expires_at < now() + interval '270 seconds'
            AND warned_for IS DISTINCT FROM expires_at
    """,
    "is a session with an exact place": """
        SELECT id::text FROM after_hours_sessions WHERE num_nonnulls(latitude, longitude) > 0
    """,
    "is an event that was not sent": """
        SELECT (payload ->> 'type') || ' ' || key FROM after_hours_outbox
        WHERE kind = 'event' AND (due_at < now() OR attempts > 0)
    """,
    "is a session with wrong schedules": """
        SELECT key FROM after_hours_outbox WHERE kind = 'schedules'
    """,
    "is an upload in which nothing has happened for a quarter of an hour": """
        SELECT id::text FROM after_hours_photo_uploads
        WHERE status IN ('pending', 'processing') AND changed_at < now() - interval '16 minutes'
    """,
    "is an object that must be deleted": """
        SELECT key FROM after_hours_outbox WHERE kind IN ('uploads', 'r2') AND (due_at < now() OR attempts > 0)
    """,
    "is an upload that a newer one replaced a day ago": """
        SELECT older.id::text FROM after_hours_photo_uploads older
        WHERE requested_at < now() - interval '25 hours' AND EXISTS (
            SELECT FROM after_hours_photo_uploads newer
            WHERE newer.user_id = older.user_id AND newer.number > older.number
        )
    """,
    "is a session of a member who left more than an hour ago": """
        SELECT s.id::text FROM after_hours_sessions s JOIN (
            SELECT user_id, max(at) AS at FROM soak.changes WHERE what = 'left' GROUP BY user_id
        ) AS departure ON departure.user_id = s.user_id  -- the last: who comes back and leaves again has another hour
        WHERE s.ended_at < now() - interval '2 hours' AND s.created_at < now() - interval '2 hours'
            AND NOT EXISTS (SELECT FROM after_hours_profiles a WHERE a.user_id = s.user_id)
            AND departure.at < now() - interval '2 hours'
    """,
    "is a session that ended more than ninety days ago": """
        SELECT id::text FROM after_hours_sessions WHERE ended_at < now() - interval '90 days 1 hour'
    """,
    "is the device of a session that is gone": """
        SELECT id::text FROM device_fingerprints d
        WHERE NOT EXISTS (SELECT FROM after_hours_sessions s WHERE s.id = d.session_id)
    """,
}
