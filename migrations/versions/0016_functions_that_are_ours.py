"""Functions with the owner's rights do what they are for, and nothing for others.

Three holes. Whoever could run one of the triggers' functions could put it on a temporary table, whose rows were then
believed. A function with the owner's rights looked names up in our schema, where others may have been able to create:
an overload of `format`, or an operator for exactly these types, was then called with those rights. And retention
overlooked references: rows that row level security hides, and a column of a composite key that is not its first.
"""

from alembic import op

revision = "0016"
down_revision = "0015"

# Functions and operators are looked up in pg_catalog alone: PostgreSQL never looks for them in pg_temp. So what is ours
# is named with its schema, also in the functions that these call, for the path holds for those, too. Arguments have
# exactly the types of the parameters: an overload may fit better than a function, but never better than exactly.
FUNCTIONS = """
DO $migration$
BEGIN
    EXECUTE format($functions$

CREATE OR REPLACE FUNCTION %1$I.after_hours_must_go(stores TEXT[], keys TEXT[], lease INTERVAL)
RETURNS SETOF %1$I.after_hours_removals
LANGUAGE sql AS $$
    INSERT INTO %1$I.after_hours_removals (store, key, due_at)
    SELECT DISTINCT object.store, object.key, now() + lease FROM unnest(stores, keys) AS object (store, key)
    ORDER BY object.store, object.key  -- rows are locked in one order, everywhere: no deadlocks
    ON CONFLICT (store, key) DO UPDATE SET due_at = excluded.due_at, attempts = 0
    RETURNING *
$$;

CREATE OR REPLACE FUNCTION %1$I.after_hours_tell(event_type TEXT, event_detail JSONB, lease INTERVAL) RETURNS JSONB
LANGUAGE sql AS $$
    INSERT INTO %1$I.after_hours_domain_events (type, detail, due_at) VALUES (event_type, event_detail, now() + lease)
    RETURNING jsonb_build_object(
        'id', id, 'type', type, 'occurredAt', %1$I.after_hours_utc(occurred_at), 'detail', detail
    )
$$;

CREATE OR REPLACE FUNCTION %1$I.after_hours_tell_ended(
    member TEXT, session_id UUID, ended_at TIMESTAMPTZ, reason TEXT, lease INTERVAL
) RETURNS JSONB
LANGUAGE sql AS $$
    SELECT %1$I.after_hours_tell(
        CAST('SessionEnded' AS text),
        jsonb_build_object(
            'userId', member, 'sessionId', session_id, 'endedAt', %1$I.after_hours_utc(ended_at), 'reason', reason
        ),
        lease
    )
$$;

CREATE OR REPLACE FUNCTION %1$I.after_hours_remove_photo() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (TG_RELID, TG_WHEN, TG_OP, TG_LEVEL) IS DISTINCT FROM
        (CAST('%1$I.after_hours_profiles' AS regclass), 'AFTER', 'DELETE', 'ROW')
    THEN
        RAISE EXCEPTION 'a trigger of after_hours_profiles alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM %1$I.after_hours_must_go(array_agg(store), array_agg(key), interval '30 seconds')
    FROM %1$I.after_hours_photo_objects(OLD.photo_url);
    INSERT INTO %1$I.after_hours_departures (user_id) VALUES (OLD.user_id)
    ON CONFLICT (user_id) DO UPDATE SET forget_at = excluded.forget_at;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION %1$I.after_hours_tell_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (TG_RELID, TG_WHEN, TG_OP, TG_LEVEL) IS DISTINCT FROM
        (CAST('%1$I.after_hours_sessions' AS regclass), 'AFTER', 'DELETE', 'ROW')
    THEN
        RAISE EXCEPTION 'a trigger of after_hours_sessions alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM %1$I.after_hours_tell_ended(
        CAST(OLD.user_id AS text), OLD.id, least(OLD.expires_at, now()),
        CAST(CASE WHEN OLD.expires_at <= now() THEN 'expired' ELSE 'account_deleted' END AS text), interval '0'
    );
    RETURN NULL;
END
$$;

    $functions$, current_schema());
END
$migration$;
"""

# Of a key of several columns, the column that points to `id` is looked at. A reference that points elsewhere, or whose
# rows may be hidden from the owner, may hold any session. A partition's references are its table's.
REFERENCES = """
DO $migration$
BEGIN
    EXECUTE format($functions$

CREATE OR REPLACE FUNCTION %1$I.after_hours_referenced_sessions(candidates UUID[]) RETURNS SETOF UUID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
        WHERE contype = 'f' AND confrelid = CAST('%1$I.after_hours_sessions' AS regclass) AND conparentid = 0
            AND (
                confdeltype IN ('c', 'n', 'd') AND conrelid IN (
                    to_regclass('%1$I.device_fingerprints'), to_regclass('%1$I.after_hours_declines')
                )
            ) IS NOT TRUE
    LOOP
        IF reference.readable THEN
            RETURN QUERY EXECUTE format(
                'SELECT CAST(%%2$I AS uuid) FROM %%1$s WHERE %%2$I = ANY ($1)',
                reference.table_name, reference.column_name
            ) USING candidates;
        ELSE
            RETURN QUERY SELECT unnest(candidates);  -- what cannot be looked at may hold any of them
        END IF;
    END LOOP;
END
$$;

    $functions$, current_schema());
END
$migration$;
"""

# As in 0013. The look by one hash was that of releases before the one before this.
BANNED_PHOTOS = """
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS after_hours_banned_photo(TEXT);

DO $migration$
BEGIN
    EXECUTE format($functions$

CREATE OR REPLACE FUNCTION %1$I.after_hours_banned_photo(hash TEXT, uncropped_hash TEXT)
RETURNS TABLE (banned BOOLEAN, malformed BIGINT)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hash_bits CONSTANT BIT(64) := ('x' || hash)::bit(64);
    uncropped_bits CONSTANT BIT(64) := ('x' || uncropped_hash)::bit(64);
BEGIN
    IF to_regclass('%1$I.banned_photo_hashes') IS NULL THEN
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
            FROM %1$I.banned_photo_hashes OFFSET 0
        ) AS banned_photo;
    END IF;
END
$$;

    $functions$, current_schema());
END
$migration$;
"""


def upgrade() -> None:
    for block in (FUNCTIONS, REFERENCES, BANNED_PHOTOS):
        op.execute(block)
