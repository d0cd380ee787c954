-- The functions of 0016 name the schema, since triggers call them with a search path of pg_catalog; so does this one.
DO $migration$
BEGIN
    EXECUTE format($functions$

CREATE FUNCTION %1$I.after_hours_end_sessions(session_ids UUID[], reason TEXT, lease INTERVAL)
RETURNS TABLE (
    id UUID, started_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, scheduled_for TIMESTAMPTZ, event JSONB
)
LANGUAGE sql AS $$
    UPDATE %1$I.after_hours_sessions AS session SET
        ended_at = least(session.expires_at, now()),
        latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL,
        scheduled_for = CASE WHEN session.expires_at > now() THEN session.scheduled_for END,
        schedule_due_at = now() + lease, schedule_attempts = 0
    WHERE session.id = ANY (session_ids) AND session.ended_at IS NULL
        AND (session.expires_at <= now() OR reason <> 'expired')
    RETURNING
        session.id, session.started_at, session.expires_at, session.ended_at, session.scheduled_for,
        %1$I.after_hours_tell_ended(
            session.user_id, session.id, session.ended_at,
            CASE WHEN session.expires_at <= now() THEN 'expired' ELSE reason END, lease
        )
$$;

COMMENT ON FUNCTION %1$I.after_hours_end_sessions IS
    'End those of the sessions that are open, erase their places, and put SessionEnded into the outbox; return them. A '
    'session whose end has passed ends at that time, with the reason "expired"; with this reason no other session ends.';

    $functions$, current_schema());
END
$migration$;

REVOKE EXECUTE ON FUNCTION after_hours_end_sessions(UUID[], TEXT, INTERVAL) FROM PUBLIC;
