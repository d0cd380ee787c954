"""The look at banned photos takes a second hash: of the photo as it may have been before it was cropped."""

from alembic import op

revision = "0011"
down_revision = "0010"

# A release older still calls the function of one hash. OFFSET 0 keeps the inner SELECT apart: merged into the outer
# one, the check of the form, which is most of the cost, would be made twice for each row. SECURITY DEFINER and plpgsql,
# as before, since the main app may make its table later than this, or never.
LOOK = """
CREATE FUNCTION after_hours_banned_photo(hash TEXT, uncropped_hash TEXT)
RETURNS TABLE (banned BOOLEAN, malformed BIGINT)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF to_regclass('banned_photo_hashes') IS NULL THEN
        RETURN QUERY SELECT false, 0::bigint;
    ELSE
        RETURN QUERY
        SELECT
            coalesce(bool_or(
                bit_count(known.bits # ('x' || hash)::bit(64)) < 10
                OR bit_count(known.bits # ('x' || uncropped_hash)::bit(64)) < 10
            ), false),
            count(*) FILTER (WHERE known.bits IS NULL)
        FROM (
            SELECT CASE WHEN photo_hash ~ '^[0-9A-Fa-f]{16}$' THEN ('x' || photo_hash)::bit(64) END AS bits
            FROM banned_photo_hashes OFFSET 0
        ) AS known;
    END IF;
END
$$;
COMMENT ON FUNCTION after_hours_banned_photo(TEXT, TEXT) IS
    'Whether a photo like that of these hashes is banned; and how many banned hashes are none, and were skipped.';

DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION after_hours_banned_photo(TEXT, TEXT) SECURITY DEFINER SET search_path = %I, pg_temp',
        current_schema()
    );
END
$$;
"""


def upgrade() -> None:
    op.execute(LOOK)
