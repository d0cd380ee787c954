"""The key of an upload's original, for any member's id."""

from alembic import op

revision = "0015"
down_revision = "0014"

# An address with such an id in it would be another one after normalisation (RFC 3986, section 6.2.2): `.`, `..` and `/`
# make segments go, and a client may decode once too often, or compose letters anew. A hash is as long for every id: a
# key has 1,024 bytes at most, and an id up to 255 characters.
KEYS = """
CREATE FUNCTION after_hours_upload_key(member TEXT, photo UUID) RETURNS TEXT
LANGUAGE sql STABLE AS $$
    SELECT 'uploads/' || CASE
        WHEN member COLLATE "C" ~ '^[A-Za-z0-9._|@:=+-]+$' AND member NOT IN ('.', '..') THEN member
        ELSE '~' || encode(sha256(convert_to(member, 'UTF8')), 'hex')
    END || '/' || photo
$$;
COMMENT ON FUNCTION after_hours_upload_key IS
    'The key of an upload in the upload bucket. A member''s id that is not plain is hashed, after a tilde.';
"""


def upgrade() -> None:
    op.execute(KEYS)
