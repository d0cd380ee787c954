"""Only one invocation at a time makes an upload's photo; and accounts can be deleted from any search path."""

from alembic import op

revision = "0007"
down_revision = "0006"

LEASES = """
ALTER TABLE after_hours_photo_uploads ADD COLUMN leased_until TIMESTAMPTZ;
COMMENT ON COLUMN after_hours_photo_uploads.leased_until IS
    'Until then the upload is being processed by whoever claimed it, and cannot be claimed. NULL: by nobody.';

-- The trigger runs in the sessions of the main app, whose search path need not be ours.
ALTER FUNCTION after_hours_remove_photo() SET search_path FROM CURRENT;
"""


def upgrade() -> None:
    op.execute(LEASES)
