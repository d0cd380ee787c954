"""Work for each duty of the sweep: statements that make it anew for the members named."""

# A live session with an hour to go and its schedules; a session that was open before is closed.
LIVE = """
    UPDATE after_hours_sessions SET
        ended_at = now(),
        latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL
    WHERE user_id = ANY(%(members)s) AND ended_at IS NULL;
    INSERT INTO after_hours_sessions
        (user_id, started_at, expires_at, scheduled_for, fuzzed_latitude, fuzzed_longitude)
    SELECT member, now() - interval '1 hour', now() + interval '1 hour', now() + interval '1 hour', 52.5, 13.4
    FROM unnest(%(members)s) AS member;
"""

OF_LIVE_SESSIONS = {
    "expired": """
        UPDATE after_hours_sessions SET expires_at = now() - interval '1 minute'
        WHERE user_id = ANY(%(members)s) AND ended_at IS NULL
    """,
    "lapsed": """
        UPDATE users SET after_hours_consent = false WHERE id = ANY(%(members)s)
    """,
    "warned": """
        UPDATE after_hours_sessions
        SET expires_at = now() + interval '4 minutes', scheduled_for = now() + interval '4 minutes'
        WHERE user_id = ANY(%(members)s) AND ended_at IS NULL
    """,
    "placesErased": """
        UPDATE after_hours_sessions SET latitude = 52.5, longitude = 13.4
        WHERE user_id = ANY(%(members)s) AND ended_at IS NULL
    """,
    "schedulesRepaired": """
        UPDATE after_hours_sessions SET scheduled_for = NULL WHERE user_id = ANY(%(members)s) AND ended_at IS NULL;
        UPDATE after_hours_outbox SET due_at = now() WHERE kind = 'schedules'
    """,
}

OF_OTHER_THINGS = {
    "eventsPublished": """
        DELETE FROM after_hours_outbox WHERE kind = 'event';
        SELECT after_hours_put_event('SessionEnded', '{}', interval '0') FROM unnest(%(members)s)
    """,
    "uploadsFailed": """
        INSERT INTO after_hours_photo_uploads (user_id, status, requested_at, changed_at)
        SELECT member, 'pending', now() - interval '20 minutes', now() - interval '20 minutes'
        FROM unnest(%(members)s) AS member
    """,
    "uploadsForgotten": """
        INSERT INTO after_hours_photo_uploads (user_id, status, requested_at, changed_at, forget_at)
        SELECT member, 'ready', now() - interval '2 days', now() - interval '2 days', now()
        FROM unnest(%(members)s) AS member
    """,
    "departedForgotten": """
        DELETE FROM after_hours_profiles WHERE user_id = ANY(%(members)s);
        INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)
        SELECT member, now() - interval '3 hours', now() - interval '2 hours', now() - interval '2 hours'
        FROM unnest(%(members)s) AS member;
        INSERT INTO after_hours_departures (user_id, forget_at) SELECT member, now() FROM unnest(%(members)s) AS member
        ON CONFLICT (user_id) DO UPDATE SET forget_at = excluded.forget_at
    """,
    "sessionsForgotten": """
        WITH ended AS (
            INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)
            SELECT member, now() - interval '91 days', now() - interval '91 days', now() - interval '91 days'
            FROM unnest(%(members)s) AS member
            RETURNING id, user_id
        )
        INSERT INTO device_fingerprints (user_id, session_id, device_id) SELECT user_id, id, 'device' FROM ended
    """,
    "photosDeleted": """
        INSERT INTO after_hours_outbox (kind, key, due_at)
        SELECT 'r2', 'after-hours-photos/' || member, now() FROM unnest(%(members)s) AS member
    """,
    "originalsDeleted": """
        INSERT INTO after_hours_outbox (kind, key, due_at)
        SELECT 'uploads', 'uploads/' || member, now() FROM unnest(%(members)s) AS member
    """,
}


def statements(duty: str) -> tuple[str, ...]:
    """Return the statements that make work for the duty of this name. Raises KeyError."""
    return (LIVE, OF_LIVE_SESSIONS[duty]) if duty in OF_LIVE_SESSIONS else (OF_OTHER_THINGS[duty],)
