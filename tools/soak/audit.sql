-- What really changed, written by triggers of the soak: the checks compare events and answers with it. It exists in the
-- soak's own database, never in a deployment.
CREATE SCHEMA soak;

CREATE TABLE soak.changes (
    what TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key TEXT,
    transaction XID8 NOT NULL DEFAULT pg_current_xact_id(),
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON soak.changes (what, key);

-- The leaps of time that were made, so that a retry of one that PostgreSQL did not acknowledge does nothing.
CREATE TABLE soak.leaps (number INTEGER PRIMARY KEY);

CREATE FUNCTION soak.note(what TEXT, user_id TEXT, key TEXT) RETURNS VOID
LANGUAGE sql AS $$ INSERT INTO soak.changes (what, user_id, key) VALUES (what, user_id, key) $$;

CREATE FUNCTION soak.session_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM soak.note('started', NEW.user_id, NEW.id::text);
    ELSIF TG_OP = 'DELETE' THEN
        IF OLD.ended_at IS NULL THEN
            PERFORM soak.note('ended', OLD.user_id, OLD.id::text);
            PERFORM soak.note('ended with the account', OLD.user_id, OLD.id::text);
        END IF;
    ELSE
        IF NEW.expires_at > OLD.expires_at THEN
            PERFORM soak.note('extended', NEW.user_id, NEW.id::text);
        END IF;
        IF OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL THEN
            PERFORM soak.note('ended', NEW.user_id, NEW.id::text);
            -- Members may end a session before its end; an expiry may not.
            IF NEW.ended_at < NEW.expires_at AND EXISTS (
                SELECT FROM after_hours_outbox
                WHERE kind = 'event' AND payload -> 'detail' ->> 'sessionId' = NEW.id::text
                    AND payload -> 'detail' ->> 'reason' = 'expired'
            ) THEN
                PERFORM soak.note('ended too early', NEW.user_id, NEW.id::text);
            END IF;
        END IF;
        IF NEW.warned_for IS DISTINCT FROM OLD.warned_for THEN
            PERFORM soak.note('expiring', NEW.user_id, NEW.id::text);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER soak_session AFTER INSERT OR UPDATE OR DELETE ON after_hours_sessions
    FOR EACH ROW EXECUTE FUNCTION soak.session_changed();

CREATE FUNCTION soak.profile_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM soak.note('left', OLD.user_id, NULL);
    ELSIF TG_OP = 'INSERT' OR NEW.description IS DISTINCT FROM OLD.description THEN
        PERFORM soak.note('described', NEW.user_id, NEW.description);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER soak_profile AFTER INSERT OR UPDATE OR DELETE ON after_hours_profiles
    FOR EACH ROW EXECUTE FUNCTION soak.profile_changed();

CREATE FUNCTION soak.preferences_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM soak.note('left', OLD.user_id, NULL);
    ELSE
        PERFORM soak.note('preferred', NEW.user_id, NULL);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER soak_preferences AFTER INSERT OR UPDATE OR DELETE ON after_hours_preferences
    FOR EACH ROW EXECUTE FUNCTION soak.preferences_changed();

CREATE FUNCTION soak.upload_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM soak.note('asked', NEW.user_id, NEW.id::text);
    ELSE
        IF NEW.status <> OLD.status AND NEW.status IN ('ready', 'rejected') THEN
            PERFORM soak.note(NEW.status, NEW.user_id, NEW.id::text);
        END IF;
        IF OLD.leased_until > clock_timestamp() AND NEW.leased_until > OLD.leased_until THEN
            PERFORM soak.note('claimed twice', NEW.user_id, NEW.id::text);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER soak_upload AFTER INSERT OR UPDATE ON after_hours_photo_uploads
    FOR EACH ROW EXECUTE FUNCTION soak.upload_changed();
