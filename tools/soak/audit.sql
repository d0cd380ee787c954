-- The records that the rules compare (tools/soak/rules.py), in the soak's own database alone, never in a deployment.
CREATE SCHEMA soak;

-- What really changed, written by the triggers below, which know nothing of the product's outbox. What a domain event
-- announces has the type of that event.
CREATE TABLE soak.changes (
    what TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key TEXT,
    transaction XID8 NOT NULL DEFAULT pg_current_xact_id(),
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON soak.changes (what, key);

-- What callers asked for. `outcome` is done (2xx), refused (4xx) or unknown (5xx, or no answer).
CREATE TABLE soak.asked (what TEXT, user_id TEXT, key TEXT, outcome TEXT);

-- The domain events that the bus delivered, a row for each time. `at` is in milliseconds since 1970, and `key` is the id
-- of the session or photo.
CREATE TABLE soak.heard (
    message TEXT PRIMARY KEY, at BIGINT, event_id TEXT, type TEXT, key TEXT, reason TEXT, fault TEXT
);

-- When time leapt, in milliseconds, too. Leaps do not change these two tables.
CREATE TABLE soak.leaps (number INTEGER PRIMARY KEY, at BIGINT DEFAULT extract(epoch FROM clock_timestamp()) * 1000);

-- Schedules, objects and logs at AWS, when they were last looked at. `at` is null for a schedule not looked at.
CREATE TABLE soak.schedules (name TEXT PRIMARY KEY, at TIMESTAMPTZ);
CREATE TABLE soak.objects (store TEXT, key TEXT);
CREATE TABLE soak.logs (name TEXT, content TEXT);

-- What no log may hold, as regular expressions. All places that members send lie in these degrees.
CREATE TABLE soak.secrets (what TEXT, pattern TEXT);
INSERT INTO soak.secrets VALUES
    ('a text', 'soak-text-'),
    ('a device', 'soak-device-'),
    ('a token', 'eyJhbGciOi'),
    ('a place', '-4[12]\.\d|-7[12]\.\d');

CREATE TABLE soak.sweeps (seconds DOUBLE PRECISION);

CREATE FUNCTION soak.note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    changed JSONB := to_jsonb(coalesce(NEW, OLD));
BEGIN
    INSERT INTO soak.changes (what, user_id, key)
    VALUES (TG_ARGV[0], changed ->> 'user_id', changed ->> TG_ARGV[1]);
    RETURN NULL;
END
$$;

-- What is noted, with which column for its key: after which statement on which table, and when.
DO $$
DECLARE
    noted RECORD;
BEGIN
    FOR noted IN SELECT * FROM (VALUES
        ('SessionStarted', 'id', 'INSERT', 'sessions', 'true'),
        ('SessionExtended', 'id', 'UPDATE', 'sessions', 'NEW.expires_at > OLD.expires_at'),
        ('SessionExpiring', 'id', 'UPDATE', 'sessions', 'NEW.warned_for IS DISTINCT FROM OLD.warned_for'),
        ('SessionEnded', 'id', 'UPDATE', 'sessions', 'OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL'),
        ('ended early', 'id', 'UPDATE', 'sessions', 'OLD.ended_at IS NULL AND NEW.ended_at < NEW.expires_at'),
        ('SessionEnded', 'id', 'DELETE', 'sessions', 'OLD.ended_at IS NULL'),
        ('ended with the account', 'id', 'DELETE', 'sessions', 'OLD.ended_at IS NULL'),
        ('described', 'description', 'INSERT', 'profiles', 'true'),
        ('described', 'description', 'UPDATE', 'profiles', 'NEW.description IS DISTINCT FROM OLD.description'),
        ('left', NULL, 'DELETE', 'profiles', 'true'),
        ('preferred', NULL, 'INSERT OR UPDATE', 'preferences', 'true'),
        ('left', NULL, 'DELETE', 'preferences', 'true'),
        ('asked', 'id', 'INSERT', 'photo_uploads', 'true'),
        ('PhotoReady', 'id', 'UPDATE', 'photo_uploads', 'NEW.status <> OLD.status AND NEW.status = ''ready'''),
        ('PhotoRejected', 'id', 'UPDATE', 'photo_uploads', 'NEW.status <> OLD.status AND NEW.status = ''rejected'''),
        ('claimed twice', 'id', 'UPDATE', 'photo_uploads',
            'OLD.leased_until > clock_timestamp() AND NEW.leased_until > OLD.leased_until')
    ) AS _ (what, key, statement, of_table, condition)
    LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER %s ON %I FOR EACH ROW WHEN (%s) EXECUTE FUNCTION soak.note(%L, %L)',
            noted.what || ' ' || noted.statement, noted.statement, 'after_hours_' || noted.of_table,
            noted.condition, noted.what, noted.key
        );
    END LOOP;
END
$$;
