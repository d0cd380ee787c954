CREATE TABLE after_hours_outbox (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload JSONB NOT NULL DEFAULT '{}',
    due_at TIMESTAMPTZ NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    PRIMARY KEY (kind, key),
    CONSTRAINT after_hours_outbox_payload CHECK (CASE kind
        WHEN 'event' THEN payload ?& '{type,occurredAt,detail}'
        WHEN 'schedules' THEN payload ? 'expiresAt'
        WHEN 'uploads' THEN payload = '{}'
        WHEN 'r2' THEN payload = '{}'
        ELSE false
    END)
) WITH (
    -- Each change writes and deletes rows here: the default would wait for a fifth of a table that is mostly empty.
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 1000
);
CREATE INDEX after_hours_outbox_due ON after_hours_outbox (kind, due_at);
CREATE INDEX after_hours_outbox_failed ON after_hours_outbox (attempts) WHERE attempts > 0;

COMMENT ON TABLE after_hours_outbox IS
    'The transactional outbox: tasks that must follow a change outside the database. The statement that makes the change '
    'writes them; they are deleted when they are done.';
COMMENT ON COLUMN after_hours_outbox.kind IS
    'event: publish it. schedules: make or delete those of a session. uploads, r2: delete an object of this store.';
COMMENT ON COLUMN after_hours_outbox.key IS
    'event: its id, by which consumers drop duplicates. schedules: the session. uploads, r2: the key of the object.';
COMMENT ON COLUMN after_hours_outbox.payload IS
    'event: type, occurredAt, detail. schedules: expiresAt, null when they are to be deleted; new, when there are most '
    'likely none yet.';
COMMENT ON COLUMN after_hours_outbox.due_at IS
    'When the sweep may do the task: after the lease of the function that made the change, or after a backoff.';
COMMENT ON COLUMN after_hours_outbox.attempts IS 'How often the sweep has failed to do the task.';
COMMENT ON COLUMN after_hours_outbox.version IS
    'The transaction that wrote the task. A task is deleted only in the version that was done.';
COMMENT ON INDEX after_hours_outbox_due IS 'The sweep: which tasks of a kind are due.';
COMMENT ON INDEX after_hours_outbox_failed IS 'The sweep: how many tasks are stuck.';

-- What waits is moved. An event keeps its id. The locks wait for open transactions of the release before: what those write
-- after the copy would be lost with the tables, or would have no task.
LOCK TABLE after_hours_sessions IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE after_hours_domain_events, after_hours_removals IN ACCESS EXCLUSIVE MODE;
INSERT INTO after_hours_outbox (kind, key, payload, due_at, attempts)
SELECT
    'event', id::text,
    jsonb_build_object('type', type, 'occurredAt', after_hours_utc(occurred_at), 'detail', detail), due_at, attempts
FROM after_hours_domain_events;
INSERT INTO after_hours_outbox (kind, key, due_at, attempts)
SELECT store, key, due_at, attempts FROM after_hours_removals;
INSERT INTO after_hours_outbox (kind, key, payload, due_at, attempts)
SELECT
    'schedules', id::text,
    jsonb_build_object(
        'expiresAt', CASE WHEN ended_at IS NULL THEN after_hours_utc(least(expires_at, '9999-12-31Z')) END,
        'new', scheduled_for IS NULL
    ),
    schedule_due_at, schedule_attempts
FROM after_hours_sessions
WHERE scheduled_for IS DISTINCT FROM CASE WHEN ended_at IS NULL THEN expires_at END AND expires_at > now();

-- squawk-ignore ban-drop-function
DROP FUNCTION after_hours_must_go(TEXT[], TEXT[], INTERVAL), after_hours_end_sessions(UUID[], TEXT, INTERVAL);
-- squawk-ignore ban-drop-table
DROP TABLE after_hours_domain_events, after_hours_removals;

-- For the release before, which claims, postpones and deletes rows by these names.
CREATE VIEW after_hours_domain_events AS
SELECT
    key::uuid AS id, payload ->> 'type' AS type, payload -> 'detail' AS detail,
    (payload ->> 'occurredAt')::timestamptz AS occurred_at, due_at, attempts
FROM after_hours_outbox WHERE kind = 'event';
COMMENT ON VIEW after_hours_domain_events IS 'For the release before the outbox: its events.';

CREATE VIEW after_hours_removals AS
SELECT kind AS store, key, due_at, attempts FROM after_hours_outbox WHERE kind IN ('uploads', 'r2');
COMMENT ON VIEW after_hours_removals IS 'For the release before the outbox: objects to delete.';

-- Functions name the schema, since triggers call them with a search path of pg_catalog.
DO $migration$
BEGIN
    EXECUTE format($functions$

CREATE FUNCTION %1$I.after_hours_lease() RETURNS INTERVAL
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT interval '30 seconds' $$;
COMMENT ON FUNCTION %1$I.after_hours_lease IS
    'How long the function that made a change has for its tasks, before the sweep does them.';

CREATE FUNCTION %1$I.after_hours_put_events(
    type TEXT, details JSONB[], lease INTERVAL DEFAULT %1$I.after_hours_lease()
)
RETURNS SETOF %1$I.after_hours_outbox
LANGUAGE sql AS $$
    INSERT INTO %1$I.after_hours_outbox (kind, key, payload, due_at)
    SELECT
        'event', gen_random_uuid(),
        jsonb_build_object('type', type, 'occurredAt', %1$I.after_hours_utc(now()), 'detail', detail), now() + lease
    FROM unnest(details) AS detail
    RETURNING *
$$;
COMMENT ON FUNCTION %1$I.after_hours_put_events IS
    'Put events of a type into the outbox and return their tasks. The function that made the change publishes them within '
    'the lease.';

CREATE FUNCTION %1$I.after_hours_put_event(type TEXT, detail JSONB, lease INTERVAL DEFAULT %1$I.after_hours_lease())
RETURNS JSONB
LANGUAGE sql AS $$ SELECT to_jsonb(task) FROM %1$I.after_hours_put_events(type, ARRAY[detail], lease) AS task $$;
COMMENT ON FUNCTION %1$I.after_hours_put_event IS 'Put an event into the outbox and return its task.';

CREATE FUNCTION %1$I.after_hours_put_sessions_ended(
    sessions %1$I.after_hours_sessions[], reason TEXT, lease INTERVAL
)
RETURNS SETOF %1$I.after_hours_outbox
LANGUAGE sql AS $$
    SELECT * FROM %1$I.after_hours_put_events(
        CAST('SessionEnded' AS text),
        ARRAY(
            SELECT jsonb_build_object(
                'userId', session.user_id, 'sessionId', session.id,
                'endedAt', %1$I.after_hours_utc(least(session.expires_at, now())),
                'reason', CASE WHEN session.expires_at <= now() THEN 'expired' ELSE reason END
            ) FROM unnest(sessions) AS session
        ),
        lease
    )
$$;
COMMENT ON FUNCTION %1$I.after_hours_put_sessions_ended IS
    'What follows the end of sessions: their events. A session whose end has passed ends at that time, with the reason '
    '"expired".';

CREATE FUNCTION %1$I.after_hours_put_deletions(
    stores TEXT[], keys TEXT[], lease INTERVAL DEFAULT %1$I.after_hours_lease()
)
RETURNS SETOF %1$I.after_hours_outbox
LANGUAGE sql AS $$
    INSERT INTO %1$I.after_hours_outbox (kind, key, due_at)
    SELECT DISTINCT object.store, object.key, now() + lease FROM unnest(stores, keys) AS object (store, key)
    ORDER BY object.store, object.key  -- rows are locked in one order, everywhere: no deadlocks
    ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at, attempts = 0, version = DEFAULT
    RETURNING *
$$;
COMMENT ON FUNCTION %1$I.after_hours_put_deletions IS
    'Put the deletion of objects into the outbox and return its tasks. The function that made the change deletes them '
    'within the lease.';

CREATE FUNCTION %1$I.after_hours_end_sessions(
    session_ids UUID[], reason TEXT, lease INTERVAL DEFAULT %1$I.after_hours_lease()
)
RETURNS TABLE (id UUID, started_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, event JSONB)
LANGUAGE sql AS $$
    WITH ended AS (
        UPDATE %1$I.after_hours_sessions AS session SET
            ended_at = least(session.expires_at, now()),
            latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL,
            scheduled_for = CASE WHEN session.expires_at > now() THEN session.scheduled_for END
        WHERE session.id = ANY (session_ids) AND session.ended_at IS NULL
            AND (session.expires_at <= now() OR reason <> 'expired')
        RETURNING session
    )
    SELECT (session).id, (session).started_at, (session).expires_at, (session).ended_at, to_jsonb(event)
    FROM ended JOIN %1$I.after_hours_put_sessions_ended(ARRAY(SELECT session FROM ended), reason, lease) AS event
        ON event.payload #>> '{detail,sessionId}' = CAST((session).id AS text)
$$;
COMMENT ON FUNCTION %1$I.after_hours_end_sessions IS
    'End those of the sessions that are open, erase their places, and put SessionEnded into the outbox; return them. A '
    'session whose end has passed ends at that time, with the reason "expired"; with this reason no other session ends.';

CREATE FUNCTION %1$I.after_hours_schedule_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (TG_RELID, TG_WHEN, TG_LEVEL, TG_OP = 'DELETE') IS DISTINCT FROM
        (CAST('%1$I.after_hours_sessions' AS regclass), 'AFTER', 'STATEMENT', false)
    THEN
        RAISE EXCEPTION 'a trigger of after_hours_sessions alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO %1$I.after_hours_outbox (kind, key, payload, due_at)
        SELECT
            'schedules', id,
            jsonb_build_object('expiresAt', %1$I.after_hours_utc(least(expires_at, '9999-12-31Z')), 'new', true),
            now() + %1$I.after_hours_lease()
        FROM after WHERE ended_at IS NULL AND expires_at > now() AND scheduled_for IS DISTINCT FROM expires_at;
        RETURN NULL;
    END IF;
    WITH changed AS (
        SELECT CAST(id AS text) AS key, CASE WHEN ended_at IS NULL THEN least(expires_at, '9999-12-31Z') END AS wanted,
            expires_at <= now()  -- the schedules have fired, and deleted themselves
            OR ended_at IS NULL AND expires_at = scheduled_for AS done  -- the release before has made them
        FROM (
            SELECT id, expires_at, ended_at, scheduled_for FROM after
            EXCEPT SELECT id, expires_at, ended_at, scheduled_for FROM before
        ) AS session
    ), withdrawn AS (
        DELETE FROM %1$I.after_hours_outbox
        WHERE kind = 'schedules' AND key = ANY(ARRAY(SELECT key FROM changed WHERE done))
    )
    INSERT INTO %1$I.after_hours_outbox (kind, key, payload, due_at)
    SELECT
        'schedules', key, jsonb_build_object('expiresAt', %1$I.after_hours_utc(wanted), 'new', false),
        -- No lease for a deletion: two functions may do it.
        now() + CASE WHEN wanted IS NULL THEN interval '0' ELSE %1$I.after_hours_lease() END
    FROM changed WHERE done IS NOT TRUE ORDER BY key
    ON CONFLICT (kind, key) DO UPDATE SET
        payload = excluded.payload, due_at = excluded.due_at, attempts = 0, version = DEFAULT;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION %1$I.after_hours_schedule_sessions() IS
    'Trigger: sessions have another end, whatever statement made it. Put their schedules into the outbox.';

CREATE FUNCTION %1$I.after_hours_follow_deleted_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (TG_RELID, TG_WHEN, TG_OP, TG_LEVEL) IS DISTINCT FROM
        (CAST('%1$I.after_hours_sessions' AS regclass), 'AFTER', 'DELETE', 'ROW')
    THEN
        RAISE EXCEPTION 'a trigger of after_hours_sessions alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM %1$I.after_hours_outbox WHERE kind = 'schedules' AND key = CAST(OLD.id AS text);
    PERFORM %1$I.after_hours_put_sessions_ended(ARRAY[OLD], CAST('account_deleted' AS text), interval '0');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION %1$I.after_hours_follow_deleted_session() IS
    'Trigger: an open session is deleted with the account. Put its end into the outbox.';

CREATE FUNCTION %1$I.after_hours_follow_deleted_profile() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (TG_RELID, TG_WHEN, TG_OP, TG_LEVEL) IS DISTINCT FROM
        (CAST('%1$I.after_hours_profiles' AS regclass), 'AFTER', 'DELETE', 'ROW')
    THEN
        RAISE EXCEPTION 'a trigger of after_hours_profiles alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM %1$I.after_hours_put_deletions(array_agg(store), array_agg(key))
    FROM %1$I.after_hours_photo_objects(OLD.photo_url);
    INSERT INTO %1$I.after_hours_departures (user_id) VALUES (OLD.user_id)
    ON CONFLICT (user_id) DO UPDATE SET forget_at = excluded.forget_at;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION %1$I.after_hours_follow_deleted_profile() IS
    'Trigger: a profile is deleted, by the member or with the account. Its photo and, an hour later, its sessions follow.';

-- For the release before: its functions, on the outbox.
CREATE OR REPLACE FUNCTION %1$I.after_hours_tell(event_type TEXT, event_detail JSONB, lease INTERVAL) RETURNS JSONB
LANGUAGE sql AS $$
    SELECT task -> 'payload' || jsonb_build_object('id', task -> 'key')
    FROM %1$I.after_hours_put_event(event_type, event_detail, lease) AS task
$$;
COMMENT ON FUNCTION %1$I.after_hours_tell IS 'For the release before the outbox: put an event into it.';
COMMENT ON FUNCTION %1$I.after_hours_tell_ended IS 'For the release before the outbox: put SessionEnded into it.';
COMMENT ON FUNCTION %1$I.after_hours_tell_expiring IS 'For the release before the outbox: put SessionExpiring into it.';
COMMENT ON FUNCTION %1$I.after_hours_schedule_time IS 'For the release before the outbox: a time as Scheduler takes it.';

CREATE FUNCTION %1$I.after_hours_must_go(stores TEXT[], keys TEXT[], lease INTERVAL)
RETURNS SETOF %1$I.after_hours_removals
LANGUAGE sql AS $$
    SELECT task.kind, task.key, task.due_at, task.attempts
    FROM %1$I.after_hours_put_deletions(stores, keys, lease) AS task
$$;
COMMENT ON FUNCTION %1$I.after_hours_must_go IS 'For the release before the outbox: put the deletion of objects into it.';

    $functions$, current_schema());
END
$migration$;

DROP TRIGGER after_hours_session_deleted ON after_hours_sessions;
DROP TRIGGER after_hours_profile_deleted ON after_hours_profiles;
-- squawk-ignore ban-drop-function
DROP FUNCTION after_hours_tell_deleted(), after_hours_remove_photo();
CREATE TRIGGER after_hours_session_deleted AFTER DELETE ON after_hours_sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL) EXECUTE FUNCTION after_hours_follow_deleted_session();
CREATE TRIGGER after_hours_profile_deleted AFTER DELETE ON after_hours_profiles
    FOR EACH ROW EXECUTE FUNCTION after_hours_follow_deleted_profile();
CREATE TRIGGER after_hours_sessions_inserted AFTER INSERT ON after_hours_sessions
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION after_hours_schedule_sessions();
CREATE TRIGGER after_hours_sessions_updated AFTER UPDATE ON after_hours_sessions
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION after_hours_schedule_sessions();

REVOKE EXECUTE ON FUNCTION
    after_hours_lease(),
    after_hours_put_event(TEXT, JSONB, INTERVAL),
    after_hours_put_events(TEXT, JSONB[], INTERVAL),
    after_hours_put_sessions_ended(after_hours_sessions[], TEXT, INTERVAL),
    after_hours_put_deletions(TEXT[], TEXT[], INTERVAL),
    after_hours_end_sessions(UUID[], TEXT, INTERVAL),
    after_hours_must_go(TEXT[], TEXT[], INTERVAL),
    after_hours_schedule_sessions(), after_hours_follow_deleted_session(), after_hours_follow_deleted_profile()
FROM PUBLIC;

-- The role that serves has its rights at once. What it needs in all is in migrations/serving_role.py.
DO $$
DECLARE
    serving NAME;
BEGIN
    FOR serving IN
        SELECT pg_get_userbyid(granted.grantee) FROM pg_class, aclexplode(relacl) AS granted
        WHERE pg_class.oid = 'after_hours_sessions'::regclass AND granted.privilege_type = 'DELETE'
            AND granted.grantee NOT IN (0, relowner)
    LOOP
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON after_hours_outbox, after_hours_domain_events, '
            'after_hours_removals TO %1$I; GRANT EXECUTE ON FUNCTION after_hours_lease, after_hours_put_event, '
            'after_hours_put_events, after_hours_put_sessions_ended, after_hours_put_deletions, '
            'after_hours_end_sessions, after_hours_must_go TO %1$I', serving
        );
    END LOOP;
END
$$;
