"""Uploads of photos, which of them a profile shows, and that no photo outlives its profile."""

from alembic import op

revision = "0004"
down_revision = "0003"

UPLOADS = r"""
CREATE TABLE after_hours_photo_uploads (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The order of requests: of two uploads the one with the higher number wins, whichever finishes first.
    number BIGINT GENERATED ALWAYS AS IDENTITY,
    -- removed: by the member, or by a newer photo before this one was ready; kept for the count of uploads in an hour
    status TEXT NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'processing', 'ready', 'rejected', 'failed', 'removed')),
    reason TEXT CHECK ((reason IS NOT NULL) = (status IN ('rejected', 'failed'))),
    requested_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX after_hours_photo_uploads_of_user ON after_hours_photo_uploads (user_id, number DESC);
CREATE INDEX after_hours_photo_uploads_open ON after_hours_photo_uploads (changed_at)
    WHERE status IN ('pending', 'processing');
CREATE INDEX after_hours_photo_uploads_requested ON after_hours_photo_uploads (requested_at);

-- photo_url (the earlier backend's name) is a key in R2, '' for none. A photo of the earlier backend has no number, and
-- no thumbnail.
ALTER TABLE after_hours_profiles ADD COLUMN photo_number BIGINT;

CREATE FUNCTION after_hours_photo_objects(photo_key TEXT) RETURNS TABLE (store TEXT, key TEXT)
LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT 'r2', object.key
    FROM (VALUES (photo_key), (regexp_replace(photo_key, '\.jpg$', '_thumb.jpg'))) AS object (key)
    WHERE photo_key <> ''
$$;
COMMENT ON FUNCTION after_hours_photo_objects IS 'What a photo consists of, outside the database.';

-- The main app deletes accounts, and a profile goes with its user: its photo must go then, too.
CREATE FUNCTION after_hours_remove_photo() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO after_hours_removals (store, key) SELECT store, key FROM after_hours_photo_objects(OLD.photo_url)
    ON CONFLICT (store, key) DO UPDATE SET due_at = now();
    RETURN NULL;
END
$$;
CREATE TRIGGER after_hours_profile_deleted AFTER DELETE ON after_hours_profiles
    FOR EACH ROW EXECUTE FUNCTION after_hours_remove_photo();
"""


def upgrade() -> None:
    op.execute(UPLOADS)
