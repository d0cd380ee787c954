"""Whoever serves may ask which sessions another table references, without a right to read that table.

Else retention would keep every session: what it cannot look at may hold any of them.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

ASKING = """
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION after_hours_referenced_sessions SECURITY DEFINER SET search_path = %I, pg_temp',
        current_schema()
    );
END
$$;
"""


def upgrade() -> None:
    op.execute(ASKING)
