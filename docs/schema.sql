-- The tables of After Hours, as migrations/ makes them, without the names of schemas. `make schema` writes this file.
-- The main app's tables, which ours refer to, are in migrations/host_tables.sql.

CREATE TABLE after_hours_alembic_version (
    version_num character varying(32) NOT NULL
);

ALTER TABLE after_hours_alembic_version
    ADD CONSTRAINT after_hours_alembic_version_pkc PRIMARY KEY (version_num);

-- Members without a profile, whose sessions and uploads retention forgets at this time.
CREATE TABLE after_hours_departures (
    -- The member.
    user_id character varying(255) NOT NULL,
    -- When retention deletes sessions and uploads.
    forget_at timestamp with time zone DEFAULT (now() + '01:00:00'::interval) NOT NULL
);

ALTER TABLE after_hours_departures
    ADD CONSTRAINT after_hours_departures_pkey PRIMARY KEY (user_id);

-- Retention: which departures are due.
CREATE INDEX after_hours_departures_due ON after_hours_departures (forget_at);

-- The transactional outbox: tasks that must follow a change outside the database. The statement that makes the change
-- writes them; they are deleted when they are done.
CREATE TABLE after_hours_outbox (
    -- event: publish it. schedules: make or delete those of a session. uploads, r2: delete an object of this store.
    kind text NOT NULL,
    -- event: its id, by which consumers drop duplicates. schedules: the session. uploads, r2: the key of the object.
    key text NOT NULL,
    -- event: type, occurredAt, detail. schedules: expiresAt, null when they are to be deleted; new, when there are most
    -- likely none yet.
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    -- When the sweep may do the task: after the lease of the function that made the change, or after a backoff.
    due_at timestamp with time zone NOT NULL,
    -- How often the sweep has failed to do the task.
    attempts integer DEFAULT 0 NOT NULL,
    -- The transaction that wrote the task. A task is deleted only in the version that was done.
    version bigint DEFAULT ((pg_current_xact_id()))::bigint NOT NULL,
    CONSTRAINT after_hours_outbox_payload CHECK (
CASE kind
    WHEN 'event' THEN (payload ?& '{type,occurredAt,detail}')
    WHEN 'schedules' THEN (payload ? 'expiresAt')
    WHEN 'uploads' THEN (payload = '{}'::jsonb)
    WHEN 'r2' THEN (payload = '{}'::jsonb)
    ELSE false
END)
)
WITH (autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0', autovacuum_analyze_scale_factor='0.02', autovacuum_analyze_threshold='1000');

ALTER TABLE after_hours_outbox
    ADD CONSTRAINT after_hours_outbox_pkey PRIMARY KEY (kind, key);

-- The sweep: which tasks of a kind are due.
CREATE INDEX after_hours_outbox_due ON after_hours_outbox (kind, due_at);

-- The sweep: how many tasks are stuck.
CREATE INDEX after_hours_outbox_failed ON after_hours_outbox (attempts) WHERE (attempts > 0);

-- What became of each upload that a member asked for.
CREATE TABLE after_hours_photo_uploads (
    -- The photo id of the API; the last part of the objects' keys.
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    -- The member.
    user_id character varying(255) NOT NULL,
    -- The order of requests: the highest number of a member wins.
    number bigint NOT NULL,
    -- pending: no file has arrived. processing: a function makes the photo. ready: the photo was made. rejected: the
    -- file is at fault. failed: we are at fault. removed: the member deleted the photo, or cancelled the upload by
    -- that.
    status text DEFAULT 'pending' NOT NULL,
    -- Why the upload was rejected or failed, as a code of the API.
    reason text,
    -- When the member asked for the upload.
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    -- When the status last changed.
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    -- Until then one function processes the upload, and no other may claim it. NULL: no function does.
    leased_until timestamp with time zone,
    -- When retention deletes the row. NULL: it is the newest of its member.
    forget_at timestamp with time zone,
    CONSTRAINT after_hours_photo_uploads_check CHECK (((reason IS NOT NULL) = (status = ANY (ARRAY['rejected', 'failed'])))),
    CONSTRAINT after_hours_photo_uploads_status_check CHECK ((status = ANY (ARRAY['pending', 'processing', 'ready', 'rejected', 'failed', 'removed'])))
);

ALTER TABLE after_hours_photo_uploads
    ADD CONSTRAINT after_hours_photo_uploads_pkey PRIMARY KEY (id);

-- The newest upload of a member.
CREATE INDEX after_hours_photo_uploads_of_user ON after_hours_photo_uploads (user_id, number DESC);

-- The sweep: uploads that take too long.
CREATE INDEX after_hours_photo_uploads_open ON after_hours_photo_uploads (changed_at) WHERE (status = ANY (ARRAY['pending', 'processing']));

-- The uploads that a member asked for in the last hour.
CREATE INDEX after_hours_photo_uploads_requested ON after_hours_photo_uploads (requested_at);

-- Retention: uploads to forget.
CREATE INDEX after_hours_photo_uploads_superseded ON after_hours_photo_uploads (forget_at) WHERE (forget_at IS NOT NULL);

ALTER TABLE after_hours_photo_uploads
    ADD CONSTRAINT after_hours_photo_uploads_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;

-- Whom a member seeks in After Hours.
CREATE TABLE after_hours_preferences (
    -- The member.
    user_id character varying(255) NOT NULL,
    -- The gender that the member seeks.
    seeking_gender character varying(50) DEFAULT 'Any' NOT NULL,
    -- Kilometres.
    max_distance_km integer DEFAULT 10 NOT NULL,
    -- Of the earlier backend; neither read nor written.
    interests text[],
    -- Years.
    min_age integer DEFAULT 18 NOT NULL,
    -- Years.
    max_age integer DEFAULT 99 NOT NULL,
    -- The member's own. NULL: none.
    sexual_orientation character varying(50),
    -- When the preferences were made.
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    -- When the preferences were last changed.
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT after_hours_preferences_ages CHECK (((18 <= min_age) AND (min_age <= max_age) AND (max_age <= 99))),
    CONSTRAINT after_hours_preferences_max_distance_km CHECK (((max_distance_km >= 1) AND (max_distance_km <= 200))),
    CONSTRAINT after_hours_preferences_seeking_gender CHECK (((seeking_gender) = ANY ((ARRAY['Any', 'Male', 'Female', 'Non-binary'])))),
    CONSTRAINT after_hours_preferences_sexual_orientation CHECK (((sexual_orientation) = ANY ((ARRAY['Straight', 'Gay', 'Bisexual', 'Pansexual', 'Queer', 'Other']))))
);

ALTER TABLE after_hours_preferences
    ADD CONSTRAINT after_hours_preferences_pkey PRIMARY KEY (user_id);

ALTER TABLE after_hours_preferences
    ADD CONSTRAINT after_hours_preferences_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;

-- The After Hours profile of a member. Name and age are in the main app's profiles.
CREATE TABLE after_hours_profiles (
    -- The member.
    user_id character varying(255) NOT NULL,
    -- The key of the photo in R2, not an address. Empty: no photo.
    photo_url text DEFAULT '' NOT NULL,
    -- A short text, trimmed. NULL: none.
    description text,
    -- When the profile was made.
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    -- When the profile or its photo was last changed.
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    -- The number of the upload that the photo came from. NULL: no photo, or one of the earlier backend.
    photo_number bigint,
    -- The perceptual hash of the photo, 16 hexadecimal digits.
    photo_hash character varying(16),
    CONSTRAINT after_hours_profiles_description CHECK (((char_length(description) >= 1) AND (char_length(description) <= 500)))
);

ALTER TABLE after_hours_profiles
    ADD CONSTRAINT after_hours_profiles_pkey PRIMARY KEY (user_id);

CREATE TRIGGER after_hours_profile_deleted AFTER DELETE ON after_hours_profiles FOR EACH ROW EXECUTE FUNCTION after_hours_follow_deleted_profile();

ALTER TABLE after_hours_profiles
    ADD CONSTRAINT after_hours_profiles_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;

-- A session is live while ended_at is NULL and expires_at has not passed, on the clock of this database.
CREATE TABLE after_hours_sessions (
    -- Names the session in the API, in events and in the names of schedules.
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    -- The member.
    user_id character varying(255) NOT NULL,
    -- The planned end, extensions included.
    expires_at timestamp with time zone NOT NULL,
    -- When the member went live.
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    -- When the session ended, not after expires_at. NULL: it is open.
    ended_at timestamp with time zone,
    -- Not written any more; only a release before this revision still does. The sweep erases it.
    latitude numeric(10,8),
    -- Not written any more; only a release before this revision still does. The sweep erases it.
    longitude numeric(11,8),
    -- The point that others may see, degrees north. It is erased when the session ends.
    fuzzed_latitude numeric(10,8),
    -- The point that others may see, degrees east. It is erased when the session ends.
    fuzzed_longitude numeric(11,8),
    -- When the row was made.
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    -- The expires_at the member was warned of, five minutes before. NULL: not warned yet.
    warned_for timestamp with time zone,
    -- Of the release before alone: the end that it made schedules for. NULL: it made none.
    scheduled_for timestamp with time zone,
    -- Of the release before alone: when its sweep may repair the schedules.
    schedule_due_at timestamp with time zone DEFAULT (now() + '00:00:30'::interval) NOT NULL,
    -- Of the release before alone: how often its sweep has failed to repair the schedules.
    schedule_attempts integer DEFAULT 0 NOT NULL,
    -- When retention last found that another table references the session, and kept it.
    last_referenced_at timestamp with time zone,
    CONSTRAINT after_hours_sessions_fuzzed_location CHECK ((((fuzzed_latitude >= ('-90'::integer)::numeric) AND (fuzzed_latitude <= (90)::numeric)) AND ((fuzzed_longitude >= ('-180'::integer)::numeric) AND (fuzzed_longitude <= (180)::numeric)))),
    CONSTRAINT after_hours_sessions_location CHECK ((((latitude >= ('-90'::integer)::numeric) AND (latitude <= (90)::numeric)) AND ((longitude >= ('-180'::integer)::numeric) AND (longitude <= (180)::numeric))))
);

ALTER TABLE after_hours_sessions
    ADD CONSTRAINT after_hours_sessions_pkey PRIMARY KEY (id);

ALTER TABLE after_hours_sessions
    ADD CONSTRAINT after_hours_sessions_place_erased CHECK (((ended_at IS NULL) OR (num_nonnulls(latitude, longitude, fuzzed_latitude, fuzzed_longitude) = 0))) NOT VALID;

-- The sweep: live sessions in slices, by id.
CREATE INDEX after_hours_sessions_live ON after_hours_sessions (id) WHERE (ended_at IS NULL);

-- The starts of a member in the last hour; the sessions of one who leaves.
CREATE INDEX after_hours_sessions_of_user ON after_hours_sessions (user_id, started_at);

-- The sweep: sessions whose end has passed. The main app: live members.
CREATE INDEX after_hours_sessions_open ON after_hours_sessions (expires_at) WHERE (ended_at IS NULL);

-- The sweep: places that should not be stored.
CREATE INDEX after_hours_sessions_placed ON after_hours_sessions (id) WHERE ((num_nonnulls(latitude, longitude) > 0) OR ((ended_at IS NOT NULL) AND (num_nonnulls(fuzzed_latitude, fuzzed_longitude) > 0)));

-- The sweep of the release before: how many sessions have schedules that are stuck.
CREATE INDEX after_hours_sessions_refused ON after_hours_sessions (schedule_attempts) WHERE (schedule_attempts > 0);

-- Retention: sessions that ended 90 days ago.
CREATE INDEX after_hours_sessions_retained ON after_hours_sessions (COALESCE(last_referenced_at, ended_at)) WHERE (ended_at IS NOT NULL);

-- The sweep of the release before: the session whose schedules were made longest ago.
CREATE INDEX after_hours_sessions_scheduled ON after_hours_sessions (schedule_due_at) WHERE ((ended_at IS NULL) AND (scheduled_for = expires_at));

-- The sweep of the release before: sessions whose schedules are wrong.
CREATE INDEX after_hours_sessions_unscheduled ON after_hours_sessions (schedule_due_at) WHERE (scheduled_for IS DISTINCT FROM
CASE
    WHEN (ended_at IS NULL) THEN expires_at
    ELSE NULL::timestamp with time zone
END);

-- The sweep: sessions that are to be warned.
CREATE INDEX after_hours_sessions_unwarned ON after_hours_sessions (expires_at) WHERE ((ended_at IS NULL) AND (warned_for IS DISTINCT FROM expires_at));

-- One open session a member. The live session of a member.
CREATE UNIQUE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (user_id) WHERE (ended_at IS NULL);

CREATE TRIGGER after_hours_session_deleted AFTER DELETE ON after_hours_sessions FOR EACH ROW WHEN ((old.ended_at IS NULL)) EXECUTE FUNCTION after_hours_follow_deleted_session();

CREATE TRIGGER after_hours_sessions_inserted AFTER INSERT ON after_hours_sessions REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION after_hours_schedule_sessions();

CREATE TRIGGER after_hours_sessions_updated AFTER UPDATE ON after_hours_sessions REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION after_hours_schedule_sessions();

ALTER TABLE after_hours_sessions
    ADD CONSTRAINT after_hours_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;

-- For the release before the outbox: its events.
CREATE VIEW after_hours_domain_events AS
 SELECT (key)::uuid AS id,
    (payload ->> 'type') AS type,
    (payload -> 'detail') AS detail,
    ((payload ->> 'occurredAt'))::timestamp with time zone AS occurred_at,
    due_at,
    attempts
   FROM after_hours_outbox
  WHERE (kind = 'event');

-- For the release before the outbox: objects to delete.
CREATE VIEW after_hours_removals AS
 SELECT kind AS store,
    key,
    due_at,
    attempts
   FROM after_hours_outbox
  WHERE (kind = ANY (ARRAY['uploads', 'r2']));

-- For each profile: the key of the photo that is shown, and what became of the newest upload.
CREATE VIEW after_hours_shown_photos AS
 SELECT a.user_id,
    a.photo_url AS photo_key,
    a.photo_number,
    upload.id AS photo_id,
    upload.reason,
    upload.requested_at,
    COALESCE(upload.status,
        CASE a.photo_url
            WHEN '' THEN 'none'
            ELSE 'ready'
        END) AS photo_status
   FROM (after_hours_profiles a
     LEFT JOIN LATERAL ( SELECT newest.id,
            newest.user_id,
            newest.number,
            newest.status,
            newest.reason,
            newest.requested_at,
            newest.changed_at,
            newest.leased_until
           FROM ( SELECT u.id,
                    u.user_id,
                    u.number,
                    u.status,
                    u.reason,
                    u.requested_at,
                    u.changed_at,
                    u.leased_until
                   FROM after_hours_photo_uploads u
                  WHERE ((u.user_id) = (a.user_id))
                  ORDER BY u.number DESC
                 LIMIT 1) newest
          WHERE (newest.status <> 'removed')) upload ON (true));

-- Whether a photo like that of one of these hashes is banned, by a part of the table from this page on; how many banned
-- hashes are malformed, and were skipped; and the page at which the next call begins, NULL after the last.
CREATE FUNCTION after_hours_banned_photo(hashes text[], from_page bigint) RETURNS TABLE(banned boolean, malformed bigint, next_page bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    banned_photos CONSTANT REGCLASS := to_regclass('banned_photo_hashes');
    looked_for CONSTANT BIT(64)[] := ARRAY(SELECT ('x' || hash)::bit(64) FROM unnest(hashes) AS hash);
    pages_at_a_time CONSTANT BIGINT := 2000;
    pages BIGINT;
BEGIN
    IF (cardinality(hashes) BETWEEN 1 AND 16) IS NOT TRUE THEN
        RAISE EXCEPTION 'one to 16 hashes can be looked for' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF banned_photos IS NULL THEN
        RETURN QUERY SELECT false, 0::bigint, NULL::bigint;
        RETURN;
    END IF;
    IF row_security_active(banned_photos) THEN
        RAISE EXCEPTION 'row level security hides banned photos' USING ERRCODE = 'insufficient_privilege';
    END IF;
    pages := greatest(
        pg_relation_size(banned_photos),
        (SELECT max(pg_relation_size(relid)) FROM pg_partition_tree(banned_photos)),
        (SELECT max(pg_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = banned_photos)
    ) / current_setting('block_size')::bigint;
    RETURN QUERY
    SELECT
        coalesce(bool_or(
            bit_count(photo.bits # looked_for[1]) < 10 OR bit_count(photo.bits # looked_for[2]) < 8
            OR bit_count(photo.bits # looked_for[3]) < 8 OR bit_count(photo.bits # looked_for[4]) < 8
            OR bit_count(photo.bits # looked_for[5]) < 10 OR bit_count(photo.bits # looked_for[6]) < 8
            OR bit_count(photo.bits # looked_for[7]) < 8 OR bit_count(photo.bits # looked_for[8]) < 8
            OR bit_count(photo.bits # looked_for[9]) < 10 OR bit_count(photo.bits # looked_for[10]) < 8
            OR bit_count(photo.bits # looked_for[11]) < 8 OR bit_count(photo.bits # looked_for[12]) < 8
            OR bit_count(photo.bits # looked_for[13]) < 10 OR bit_count(photo.bits # looked_for[14]) < 8
            OR bit_count(photo.bits # looked_for[15]) < 8 OR bit_count(photo.bits # looked_for[16]) < 8
        ), false),
        count(*) FILTER (WHERE photo.bits IS NULL),
        CASE WHEN from_page + pages_at_a_time < pages THEN from_page + pages_at_a_time END
    FROM (
        SELECT CASE
            WHEN octet_length(photo_hash) = 16 AND photo_hash !~ '[^0-9A-Fa-f]'
            THEN ('x' || photo_hash)::bit(64)
        END AS bits
        FROM banned_photo_hashes
        WHERE ctid >= format('(%s,0)', from_page)::tid AND ctid < format('(%s,0)', from_page + pages_at_a_time)::tid
        OFFSET 0
    ) AS photo;
END
$$;

-- Whether a photo like that of these hashes is banned; and how many banned hashes are none, and were skipped.
CREATE FUNCTION after_hours_banned_photo(hash text, uncropped_hash text) RETURNS TABLE(banned boolean, malformed bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    hash_bits CONSTANT BIT(64) := ('x' || hash)::bit(64);
    uncropped_bits CONSTANT BIT(64) := ('x' || uncropped_hash)::bit(64);
BEGIN
    IF to_regclass('banned_photo_hashes') IS NULL THEN
        RETURN QUERY SELECT false, 0::bigint;
    ELSE
        RETURN QUERY
        SELECT
            coalesce(bool_or(
                bit_count(banned_photo.bits # hash_bits) < 10 OR bit_count(banned_photo.bits # uncropped_bits) < 10
            ), false),
            count(*) FILTER (WHERE banned_photo.bits IS NULL)
        FROM (
            SELECT CASE
                WHEN octet_length(photo_hash) = 16 AND photo_hash !~ '[^0-9A-Fa-f]'
                THEN ('x' || photo_hash)::bit(64)
            END AS bits
            FROM banned_photo_hashes OFFSET 0
        ) AS banned_photo;
    END IF;
END
$$;

-- How long the function that made a change has for its tasks, before the sweep does them.
CREATE FUNCTION after_hours_lease() RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT interval '30 seconds' $$;

CREATE FUNCTION after_hours_end_sessions(session_ids uuid[], reason text, lease interval DEFAULT after_hours_lease()) RETURNS TABLE(id uuid, started_at timestamp with time zone, expires_at timestamp with time zone, ended_at timestamp with time zone, event jsonb)
    LANGUAGE sql
    AS $$
    WITH ended AS (
        UPDATE after_hours_sessions AS session SET
            ended_at = least(session.expires_at, now()),
            latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL,
            scheduled_for = CASE WHEN session.expires_at > now() THEN session.scheduled_for END
        WHERE session.id = ANY (session_ids) AND session.ended_at IS NULL
            AND (session.expires_at <= now() OR reason <> 'expired')
        RETURNING session
    )
    SELECT (session).id, (session).started_at, (session).expires_at, (session).ended_at, to_jsonb(event)
    FROM ended JOIN after_hours_put_sessions_ended(ARRAY(SELECT session FROM ended), reason, lease) AS event
        ON event.payload #>> '{detail,sessionId}' = CAST((session).id AS text)
$$;

-- What entitles a member to After Hours. NULL, and no row, mean no.
CREATE FUNCTION after_hours_entitlements(member text) RETURNS TABLE(premium boolean, verified boolean, consenting boolean)
    LANGUAGE sql STABLE
    AS $$
    SELECT
        EXISTS (
            SELECT FROM user_subscriptions s
            WHERE s.user_id = u.id AND s.is_active AND (s.expires_at IS NULL OR s.expires_at > now())
        ),
        u.id_verified,
        u.after_hours_consent
    FROM users u WHERE u.id = member
$$;

-- Trigger: a profile is deleted, by the member or with the account. Its photo and, an hour later, its sessions follow.
CREATE FUNCTION after_hours_follow_deleted_profile() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF (TG_RELID, TG_WHEN, TG_OP, TG_LEVEL) IS DISTINCT FROM
        (CAST('after_hours_profiles' AS regclass), 'AFTER', 'DELETE', 'ROW')
    THEN
        RAISE EXCEPTION 'a trigger of after_hours_profiles alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM after_hours_put_deletions(array_agg(store), array_agg(key))
    FROM after_hours_photo_objects(OLD.photo_url);
    INSERT INTO after_hours_departures (user_id) VALUES (OLD.user_id)
    ON CONFLICT (user_id) DO UPDATE SET forget_at = excluded.forget_at;
    RETURN NULL;
END
$$;

-- Trigger: an open session is deleted with the account. Put its end into the outbox.
CREATE FUNCTION after_hours_follow_deleted_session() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF (TG_RELID, TG_WHEN, TG_OP, TG_LEVEL) IS DISTINCT FROM
        (CAST('after_hours_sessions' AS regclass), 'AFTER', 'DELETE', 'ROW')
    THEN
        RAISE EXCEPTION 'a trigger of after_hours_sessions alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM after_hours_outbox WHERE kind = 'schedules' AND key = CAST(OLD.id AS text);
    PERFORM after_hours_put_sessions_ended(ARRAY[OLD], CAST('account_deleted' AS text), interval '0');
    RETURN NULL;
END
$$;

-- Keep the account from being deleted, and other changes of this member waiting, until the end of the transaction.
CREATE FUNCTION after_hours_lock_member(member text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    PERFORM FROM users WHERE users.id = $1 FOR KEY SHARE;
    PERFORM pg_advisory_xact_lock(hashtextextended('after hours ' || $1, 0));
END
$_$;

-- For the release before the outbox: put the deletion of objects into it.
CREATE FUNCTION after_hours_must_go(stores text[], keys text[], lease interval) RETURNS SETOF after_hours_removals
    LANGUAGE sql
    AS $$
    SELECT task.kind, task.key, task.due_at, task.attempts
    FROM after_hours_put_deletions(stores, keys, lease) AS task
$$;

-- What a photo consists of, outside the database.
CREATE FUNCTION after_hours_photo_objects(photo_key text) RETURNS TABLE(store text, key text)
    LANGUAGE sql IMMUTABLE
    AS $_$
    SELECT DISTINCT 'r2', object.key
    FROM (VALUES (photo_key), (regexp_replace(photo_key, '\.jpg$', '_thumb.jpg'))) AS object (key)
    WHERE photo_key <> ''
$_$;

CREATE FUNCTION after_hours_put_deletions(stores text[], keys text[], lease interval DEFAULT after_hours_lease()) RETURNS SETOF after_hours_outbox
    LANGUAGE sql
    AS $$
    INSERT INTO after_hours_outbox (kind, key, due_at)
    SELECT DISTINCT object.store, object.key, now() + lease FROM unnest(stores, keys) AS object (store, key)
    ORDER BY object.store, object.key  -- rows are locked in one order, everywhere: no deadlocks
    ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at, attempts = 0, version = DEFAULT
    RETURNING *
$$;

CREATE FUNCTION after_hours_put_event(type text, detail jsonb, lease interval DEFAULT after_hours_lease()) RETURNS jsonb
    LANGUAGE sql
    AS $$ SELECT to_jsonb(task) FROM after_hours_put_events(type, ARRAY[detail], lease) AS task $$;

CREATE FUNCTION after_hours_put_events(type text, details jsonb[], lease interval DEFAULT after_hours_lease()) RETURNS SETOF after_hours_outbox
    LANGUAGE sql
    AS $$
    INSERT INTO after_hours_outbox (kind, key, payload, due_at)
    SELECT
        'event', gen_random_uuid(),
        jsonb_build_object('type', type, 'occurredAt', after_hours_utc(now()), 'detail', detail), now() + lease
    FROM unnest(details) AS detail
    RETURNING *
$$;

-- What follows the end of sessions: their events. A session whose end has passed ends at that time, with the reason
-- "expired".
CREATE FUNCTION after_hours_put_sessions_ended(sessions after_hours_sessions[], reason text, lease interval) RETURNS SETOF after_hours_outbox
    LANGUAGE sql
    AS $$
    SELECT * FROM after_hours_put_events(
        CAST('SessionEnded' AS text),
        ARRAY(
            SELECT jsonb_build_object(
                'userId', session.user_id, 'sessionId', session.id,
                'endedAt', after_hours_utc(least(session.expires_at, now())),
                'reason', CASE WHEN session.expires_at <= now() THEN 'expired' ELSE reason END
            ) FROM unnest(sessions) AS session
        ),
        lease
    )
$$;

-- Which of these sessions another table references, the main app's matches for one. They must stay.
CREATE FUNCTION after_hours_referenced_sessions(candidates uuid[]) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    reference RECORD;
BEGIN
    FOR reference IN
        SELECT
            conrelid::regclass AS table_name, referencing.attname AS column_name,
            has_schema_privilege(relnamespace, 'USAGE')
                AND has_column_privilege(conrelid, referencing.attnum, 'SELECT')
                AND NOT row_security_active(conrelid) AS readable
        FROM pg_constraint
            JOIN pg_class ON pg_class.oid = conrelid
            JOIN pg_attribute AS id ON id.attrelid = confrelid AND id.attname = 'id'
            LEFT JOIN pg_attribute AS referencing ON referencing.attrelid = conrelid
                AND referencing.attnum = conkey[array_position(confkey, id.attnum)]
        WHERE contype = 'f' AND confrelid = CAST('after_hours_sessions' AS regclass) AND conparentid = 0
            AND (
                confdeltype IN ('c', 'n', 'd') AND conrelid IN (
                    to_regclass('device_fingerprints'), to_regclass('after_hours_declines')
                )
            ) IS NOT TRUE
    LOOP
        IF reference.readable THEN
            RETURN QUERY EXECUTE format(
                'SELECT CAST(%2$I AS uuid) FROM %1$s WHERE %2$I = ANY ($1)',
                reference.table_name, reference.column_name
            ) USING candidates;
        ELSE
            RETURN QUERY SELECT unnest(candidates);  -- what cannot be looked at may hold any of them
        END IF;
    END LOOP;
END
$_$;

-- Trigger: sessions have another end, whatever statement made it. Put their schedules into the outbox.
CREATE FUNCTION after_hours_schedule_sessions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF (TG_RELID, TG_WHEN, TG_LEVEL, TG_OP = 'DELETE') IS DISTINCT FROM
        (CAST('after_hours_sessions' AS regclass), 'AFTER', 'STATEMENT', false)
    THEN
        RAISE EXCEPTION 'a trigger of after_hours_sessions alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO after_hours_outbox (kind, key, payload, due_at)
        SELECT
            'schedules', id,
            jsonb_build_object('expiresAt', after_hours_utc(least(expires_at, '9999-12-31Z')), 'new', true),
            now() + after_hours_lease()
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
        DELETE FROM after_hours_outbox
        WHERE kind = 'schedules' AND key = ANY(ARRAY(SELECT key FROM changed WHERE done))
    )
    INSERT INTO after_hours_outbox (kind, key, payload, due_at)
    SELECT
        'schedules', key, jsonb_build_object('expiresAt', after_hours_utc(wanted), 'new', false),
        -- No lease for a deletion: two functions may do it.
        now() + CASE WHEN wanted IS NULL THEN interval '0' ELSE after_hours_lease() END
    FROM changed WHERE done IS NOT TRUE ORDER BY key
    ON CONFLICT (kind, key) DO UPDATE SET
        payload = excluded.payload, due_at = excluded.due_at, attempts = 0, version = DEFAULT;
    RETURN NULL;
END
$$;

-- For the release before the outbox: a time as Scheduler takes it.
CREATE FUNCTION after_hours_schedule_time(moment timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT to_char(
        date_trunc('second', least(moment, '9999-12-31Z') + interval '999999 microseconds') AT TIME ZONE 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS'
    )
$$;

-- For the release before the outbox: put an event into it.
CREATE FUNCTION after_hours_tell(event_type text, event_detail jsonb, lease interval) RETURNS jsonb
    LANGUAGE sql
    AS $$
    SELECT task -> 'payload' || jsonb_build_object('id', task -> 'key')
    FROM after_hours_put_event(event_type, event_detail, lease) AS task
$$;

-- For the release before the outbox: put SessionEnded into it.
CREATE FUNCTION after_hours_tell_ended(member text, session_id uuid, ended_at timestamp with time zone, reason text, lease interval) RETURNS jsonb
    LANGUAGE sql
    AS $$
    SELECT after_hours_tell(
        CAST('SessionEnded' AS text),
        jsonb_build_object(
            'userId', member, 'sessionId', session_id, 'endedAt', after_hours_utc(ended_at), 'reason', reason
        ),
        lease
    )
$$;

-- For the release before the outbox: put SessionExpiring into it.
CREATE FUNCTION after_hours_tell_expiring(member text, session_id uuid, expires_at timestamp with time zone, lease interval) RETURNS jsonb
    LANGUAGE sql
    AS $$
    SELECT after_hours_tell(
        'SessionExpiring',
        jsonb_build_object('userId', member, 'sessionId', session_id, 'expiresAt', after_hours_utc(expires_at)),
        lease
    )
$$;

-- Lock, without waiting, those of the members whom no other transaction locks or deletes, and return them.
CREATE FUNCTION after_hours_try_lock_members(members text[]) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    member TEXT;
BEGIN
    FOR member IN SELECT users.id FROM users WHERE users.id = ANY ($1) FOR KEY SHARE SKIP LOCKED LOOP
        IF pg_try_advisory_xact_lock(hashtextextended('after hours ' || member, 0)) THEN
            RETURN NEXT member;
        END IF;
    END LOOP;
END
$_$;

-- The key of an upload in the upload bucket. A member's id that is not plain is hashed, after a tilde.
CREATE FUNCTION after_hours_upload_key(member text, photo uuid) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
    SELECT 'uploads/' || CASE
        WHEN member COLLATE "C" ~ '^[A-Za-z0-9._|@:=+-]+$' AND member NOT IN ('.', '..') THEN member
        ELSE '~' || encode(sha256(convert_to(member, 'UTF8')), 'hex')
    END || '/' || photo
$_$;

-- A time as the API writes times: ISO 8601, UTC, Z.
CREATE FUNCTION after_hours_utc(moment timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
