"""A change locks its member before anything else, so that it does not deadlock with the deletion of the account.

The deletion locks the row of `users`, and then our rows in an order that is PostgreSQL's. Our statements locked their
rows first, and the row of `users` last, when PostgreSQL checked a reference to it (docs/decisions/order-of-locks.md).
"""

from alembic import op

revision = "0019"
down_revision = "0018"

# SECURITY DEFINER, since the role that serves may not lock rows of the main app's table. As in 0016, names are looked
# up in pg_catalog alone.
LOCKS = """
DO $migration$
BEGIN
    EXECUTE format($functions$

CREATE FUNCTION %1$I.after_hours_lock_member(member TEXT) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM %2$I.users WHERE users.id = $1 FOR KEY SHARE;
    PERFORM pg_advisory_xact_lock(hashtextextended('after hours ' || $1, 0));
END
$$;
COMMENT ON FUNCTION %1$I.after_hours_lock_member IS
    'Keep the account from being deleted, and other changes of this member waiting, until the end of the transaction.';

CREATE FUNCTION %1$I.after_hours_try_lock_members(members TEXT[]) RETURNS SETOF TEXT
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member TEXT;
BEGIN
    FOR member IN SELECT users.id FROM %2$I.users WHERE users.id = ANY ($1) FOR KEY SHARE SKIP LOCKED LOOP
        IF pg_try_advisory_xact_lock(hashtextextended('after hours ' || member, 0)) THEN
            RETURN NEXT member;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION %1$I.after_hours_try_lock_members IS
    'Lock, without waiting, those of the members whom no other transaction locks or deletes, and return them.';

    $functions$, current_schema(), (
        SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid
        WHERE pg_class.oid = 'users'::regclass
    ));
END
$migration$;

REVOKE EXECUTE ON FUNCTION after_hours_lock_member(TEXT), after_hours_try_lock_members(TEXT[]) FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(LOCKS)
