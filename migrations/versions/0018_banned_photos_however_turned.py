"""The look at banned photos takes up to sixteen hashes, and reads a part of the table at a time.

A photo is looked for mirrored and upside down, too. Three million hashes in one statement took nearly as long as the
role's timeout allows: now each call reads some 200,000 rows, and says where the next one has to begin.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

# The release before calls the look by two hashes. A partitioned table is read by the same pages of each partition. The
# table is the main app's: where row level security hides rows of it, no photo can be said not to be banned.
#
# The hashes that are looked for come in fours: of a picture as it is, and turned. Those of a turned one must be nearer,
# so that they are not more often near by chance. They are written out, since a join with them took three times as long;
# one that is missing is NULL, and like no row. OFFSET 0 keeps the inner SELECT apart: merged into the outer one, it
# would convert a row for each hash.
LOOK = """
DO $migration$
BEGIN
    EXECUTE format($functions$

CREATE FUNCTION %1$I.after_hours_banned_photo(hashes TEXT[], from_page BIGINT)
RETURNS TABLE (banned BOOLEAN, malformed BIGINT, next_page BIGINT)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    banned_photos CONSTANT REGCLASS := to_regclass('%2$I.banned_photo_hashes');
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
        FROM %2$I.banned_photo_hashes
        WHERE ctid >= format('(%%s,0)', from_page)::tid AND ctid < format('(%%s,0)', from_page + pages_at_a_time)::tid
        OFFSET 0
    ) AS photo;
END
$$;

COMMENT ON FUNCTION %1$I.after_hours_banned_photo(TEXT[], BIGINT) IS
    'Whether a photo like that of one of these hashes is banned, by a part of the table from this page on; how many '
    'banned hashes are malformed, and were skipped; and the page at which the next call begins, NULL after the last.';

    $functions$, current_schema(), (
        SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid
        WHERE pg_class.oid = 'users'::regclass
    ));
END
$migration$;
"""


def upgrade() -> None:
    op.execute(LOOK)
