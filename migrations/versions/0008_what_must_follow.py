"""What must follow a change is recorded with the change, so that a sweep reads only what is undone.

The functions and the view below are parts that several statements of the code share. The functions that the main app's
role may run (in triggers) are SECURITY DEFINER, and look only into the schema that this revision ran in.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

SESSIONS = """
ALTER TABLE after_hours_sessions
    ADD COLUMN scheduled_for TIMESTAMPTZ,
    ADD COLUMN schedule_due_at TIMESTAMPTZ NOT NULL DEFAULT now() + interval '30 seconds',
    ADD COLUMN schedule_attempts INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN last_referenced_at TIMESTAMPTZ,
    -- NOT VALID: rows of an earlier backend are erased by the sweep, and whatever else touches them must erase them.
    ADD CONSTRAINT after_hours_sessions_place_erased CHECK (
        ended_at IS NULL OR num_nonnulls(latitude, longitude, fuzzed_latitude, fuzzed_longitude) = 0
    ) NOT VALID;
COMMENT ON COLUMN after_hours_sessions.scheduled_for IS
    'The end that the schedules in EventBridge Scheduler were made for. NULL: there are none.';
COMMENT ON COLUMN after_hours_sessions.schedule_due_at IS
    'When the sweep may put wrong schedules right: after the lease of whoever is at it, or after a backoff.';
COMMENT ON COLUMN after_hours_sessions.last_referenced_at IS
    'When retention last found that another table references the session, and kept it.';
COMMENT ON COLUMN after_hours_sessions.latitude IS
    'Not written any more; only a release before this revision still does. The sweep erases it.';
COMMENT ON COLUMN after_hours_sessions.longitude IS
    'Not written any more; only a release before this revision still does. The sweep erases it.';

CREATE FUNCTION after_hours_schedule_time(moment TIMESTAMPTZ) RETURNS TEXT
LANGUAGE sql STABLE AS $$
    SELECT to_char(
        date_trunc('second', least(moment, '9999-12-31Z') + interval '999999 microseconds') AT TIME ZONE 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS'
    )
$$;
COMMENT ON FUNCTION after_hours_schedule_time IS
    'A time as a schedule is given it: UTC, rounded up to whole seconds, and never beyond the year 9999.';

-- The schedules of the sessions that are open now were made by the release before.
UPDATE after_hours_sessions SET scheduled_for = expires_at WHERE ended_at IS NULL;
"""

EVENTS = """
ALTER TABLE after_hours_domain_events
    ADD COLUMN due_at TIMESTAMPTZ NOT NULL DEFAULT now() + interval '30 seconds',
    ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
COMMENT ON COLUMN after_hours_domain_events.due_at IS
    'When the sweep may publish the event: after the lease of whoever is at it, or after a backoff.';

CREATE FUNCTION after_hours_utc(moment TIMESTAMPTZ) RETURNS TEXT
LANGUAGE sql STABLE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
COMMENT ON FUNCTION after_hours_utc IS 'A time as the API writes times: ISO 8601, UTC, Z.';

CREATE FUNCTION after_hours_tell(event_type TEXT, event_detail JSONB, lease INTERVAL) RETURNS JSONB
LANGUAGE sql AS $$
    INSERT INTO after_hours_domain_events (type, detail, due_at) VALUES (event_type, event_detail, now() + lease)
    RETURNING jsonb_build_object(
        'id', id, 'type', type, 'occurredAt', after_hours_utc(occurred_at), 'detail', detail
    )
$$;
COMMENT ON FUNCTION after_hours_tell IS
    'Put an event into the outbox and return it. Whoever makes the change may publish it until the lease is over.';

CREATE FUNCTION after_hours_tell_ended(
    member TEXT, session_id UUID, ended_at TIMESTAMPTZ, reason TEXT, lease INTERVAL
) RETURNS JSONB
LANGUAGE sql AS $$
    SELECT after_hours_tell(
        'SessionEnded',
        jsonb_build_object(
            'userId', member, 'sessionId', session_id, 'endedAt', after_hours_utc(ended_at), 'reason', reason
        ),
        lease
    )
$$;

CREATE FUNCTION after_hours_tell_expiring(member TEXT, session_id UUID, expires_at TIMESTAMPTZ, lease INTERVAL)
RETURNS JSONB
LANGUAGE sql AS $$
    SELECT after_hours_tell(
        'SessionExpiring',
        jsonb_build_object('userId', member, 'sessionId', session_id, 'expiresAt', after_hours_utc(expires_at)),
        lease
    )
$$;
"""

# A body in quotes depends on no column, so the main app can alter its tables. PostgreSQL inlines a function that
# returns a table, is STABLE and has neither SET nor SECURITY DEFINER: it costs what the same SELECT in its place costs.
ENTITLEMENTS = """
CREATE FUNCTION after_hours_entitlements(member TEXT)
RETURNS TABLE (premium BOOLEAN, verified BOOLEAN, consenting BOOLEAN)
LANGUAGE sql STABLE AS $$
    SELECT
        EXISTS (
            SELECT FROM user_subscriptions s
            WHERE s.user_id = u.id AND s.is_active AND (s.expires_at IS NULL OR s.expires_at > now())
        ),
        u.id_verified,
        u.after_hours_consent
    FROM users u WHERE u.id = member
$$;
COMMENT ON FUNCTION after_hours_entitlements IS
    'What entitles a member to After Hours. NULL, and no row, mean no.';
"""

DELETIONS = """
ALTER TABLE after_hours_removals ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;

CREATE FUNCTION after_hours_must_go(stores TEXT[], keys TEXT[], lease INTERVAL) RETURNS SETOF after_hours_removals
LANGUAGE sql AS $$
    INSERT INTO after_hours_removals (store, key, due_at)
    SELECT DISTINCT object.store, object.key, now() + lease FROM unnest(stores, keys) AS object (store, key)
    ORDER BY object.store, object.key  -- rows are locked in one order, everywhere: no deadlocks
    ON CONFLICT (store, key) DO UPDATE SET due_at = excluded.due_at, attempts = 0
    RETURNING *
$$;
COMMENT ON FUNCTION after_hours_must_go IS
    'Record that objects must be deleted. Whoever makes the change may delete them until the lease is over.';
"""

PHOTOS = """
CREATE VIEW after_hours_shown_photos AS
SELECT
    a.user_id, a.photo_url AS photo_key, a.photo_number, upload.id AS photo_id, upload.reason, upload.requested_at,
    coalesce(upload.status, CASE a.photo_url WHEN '' THEN 'none' ELSE 'ready' END) AS photo_status
FROM after_hours_profiles a LEFT JOIN LATERAL (
    SELECT * FROM (
        SELECT * FROM after_hours_photo_uploads u WHERE u.user_id = a.user_id ORDER BY number DESC LIMIT 1
    ) AS newest
    WHERE newest.status <> 'removed'
) AS upload ON true;
COMMENT ON VIEW after_hours_shown_photos IS
    'For each profile: the key of the photo that is shown, and what became of the newest upload.';

ALTER TABLE after_hours_photo_uploads ADD COLUMN forget_at TIMESTAMPTZ;
COMMENT ON COLUMN after_hours_photo_uploads.forget_at IS 'When the row goes. NULL: it is the newest of its member.';
UPDATE after_hours_photo_uploads u SET forget_at = u.requested_at + interval '1 day'
WHERE EXISTS (SELECT FROM after_hours_photo_uploads newer WHERE newer.user_id = u.user_id AND newer.number > u.number);
"""

# Rows that carry the hourly limits stay for an hour after their member left. No foreign key: the row is written while
# the account itself may be going.
DEPARTURES = """
CREATE TABLE after_hours_departures (
    user_id VARCHAR(255) PRIMARY KEY,
    forget_at TIMESTAMPTZ NOT NULL DEFAULT now() + interval '1 hour'
);
CREATE INDEX after_hours_departures_due ON after_hours_departures (forget_at);
COMMENT ON TABLE after_hours_departures IS
    'Members without a profile, whose sessions and uploads retention forgets at this time.';

INSERT INTO after_hours_departures (user_id)
SELECT user_id FROM after_hours_sessions UNION SELECT user_id FROM after_hours_photo_uploads
EXCEPT SELECT user_id FROM after_hours_profiles;
"""

TRIGGERS = """
CREATE OR REPLACE FUNCTION after_hours_remove_photo() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM after_hours_must_go(array_agg(store), array_agg(key), interval '30 seconds')
    FROM after_hours_photo_objects(OLD.photo_url);
    INSERT INTO after_hours_departures (user_id) VALUES (OLD.user_id)
    ON CONFLICT (user_id) DO UPDATE SET forget_at = excluded.forget_at;
    RETURN NULL;
END
$$;

-- The main app deletes accounts, and open sessions go with their user: chat and push must hear of it.
CREATE FUNCTION after_hours_tell_deleted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM after_hours_tell_ended(
        OLD.user_id, OLD.id, least(OLD.expires_at, now()),
        CASE WHEN OLD.expires_at <= now() THEN 'expired' ELSE 'account_deleted' END, interval '0'
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER after_hours_session_deleted AFTER DELETE ON after_hours_sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL) EXECUTE FUNCTION after_hours_tell_deleted();

DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['after_hours_remove_photo', 'after_hours_tell_deleted'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END
$$;
"""

# The session rows themselves are locked by the caller, so that nobody can reference one between this look and its
# deletion. Device rows and declines say nothing that must outlive a session, if they go with it or let go of it.
REFERENCES = """
CREATE FUNCTION after_hours_referenced_sessions(candidates UUID[]) RETURNS SETOF UUID
LANGUAGE plpgsql AS $$
DECLARE
    reference RECORD;
BEGIN
    FOR reference IN
        SELECT conrelid, conrelid::regclass AS table_name, attname AS column_name
        FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE contype = 'f' AND confrelid = 'after_hours_sessions'::regclass
            AND NOT (
                confdeltype IN ('c', 'n', 'd')
                AND conrelid IN (to_regclass('device_fingerprints'), to_regclass('after_hours_declines'))
            )
    LOOP
        IF NOT has_column_privilege(reference.conrelid, reference.column_name, 'SELECT') THEN
            RETURN QUERY SELECT unnest(candidates);  -- what cannot be looked at may hold any of them
        ELSE
            RETURN QUERY EXECUTE format(
                'SELECT %2$I FROM %1$s WHERE %2$I = ANY ($1)', reference.table_name, reference.column_name
            ) USING candidates;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION after_hours_referenced_sessions IS
    'Which of these sessions another table references, the main app''s matches for one. They must stay.';
"""


def upgrade() -> None:
    for block in (SESSIONS, EVENTS, ENTITLEMENTS, DELETIONS, PHOTOS, DEPARTURES, TRIGGERS, REFERENCES):
        op.execute(block)
