"""The perceptual hash of the photo that a profile shows, and the look whether the main app has banned one like it."""

from alembic import op

revision = "0010"
down_revision = "0009"

# The main app may make its table later, or never: a plpgsql function looks for it when it is called. Two hashes are of
# photos that look alike when fewer than 10 of their 64 bits differ. SECURITY DEFINER, since the table may be newer than
# the rights of the role that serves.
HASHES = """
ALTER TABLE after_hours_profiles ADD COLUMN IF NOT EXISTS photo_hash VARCHAR(16);

CREATE FUNCTION after_hours_banned_photo(hash TEXT) RETURNS TABLE (banned BOOLEAN, malformed BIGINT)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF to_regclass('banned_photo_hashes') IS NULL THEN
        RETURN QUERY SELECT false, 0::bigint;
    ELSE
        RETURN QUERY
        SELECT
            coalesce(bool_or(bit_count(known.bits # ('x' || hash)::bit(64)) < 10), false),
            count(*) FILTER (WHERE known.bits IS NULL)
        FROM (
            SELECT CASE WHEN photo_hash ~ '^[0-9A-Fa-f]{16}$' THEN ('x' || photo_hash)::bit(64) END AS bits
            FROM banned_photo_hashes
        ) AS known;
    END IF;
END
$$;
COMMENT ON FUNCTION after_hours_banned_photo IS
    'Whether a photo like that of this hash is banned; and how many banned hashes are none, and were skipped.';

DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION after_hours_banned_photo SECURITY DEFINER SET search_path = %I, pg_temp', current_schema()
    );
END
$$;
"""


def upgrade() -> None:
    op.execute(HASHES)
