"""What references a session holds it also where the main app has no table of declines.

`conrelid IN (…, to_regclass('after_hours_declines'))` is null, not false, for every other table where that one is
missing; so no table that is deleted with its session was looked at, and retention would have deleted matches.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

# CREATE OR REPLACE drops SECURITY DEFINER and the search path, so both are set again.
REFERENCES = """
CREATE OR REPLACE FUNCTION after_hours_referenced_sessions(candidates UUID[]) RETURNS SETOF UUID
LANGUAGE plpgsql AS $$
DECLARE
    reference RECORD;
BEGIN
    FOR reference IN
        SELECT conrelid, conrelid::regclass AS table_name, attname AS column_name
        FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE contype = 'f' AND confrelid = 'after_hours_sessions'::regclass
            AND (
                confdeltype IN ('c', 'n', 'd')
                AND conrelid IN (to_regclass('device_fingerprints'), to_regclass('after_hours_declines'))
            ) IS NOT TRUE
    LOOP
        IF NOT has_column_privilege(reference.conrelid, reference.column_name, 'SELECT') THEN
            RETURN QUERY SELECT unnest(candidates);  -- what cannot be looked at may hold any of them
        ELSE
            RETURN QUERY EXECUTE format(
                'SELECT %2$I FROM %1$s WHERE %2$I = ANY ($1)', reference.table_name, reference.column_name
            ) USING candidates;
        END IF;
    END LOOP;
END
$$;

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
    op.execute(REFERENCES)
