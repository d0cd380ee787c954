"""docs/schema.sql is what the migrations make, and says what each thing is for."""

from contextlib import closing

from tools.contract import tables
from tools.local import postgres

# An index that is a constraint is described by the constraint.
UNDESCRIBED = """
    SELECT relname FROM pg_class
    WHERE relname LIKE 'after_hours_%' AND relkind IN ('r', 'v') AND relname <> 'after_hours_alembic_version'
        AND obj_description(oid, 'pg_class') IS NULL
    UNION ALL
    SELECT concat_ws('.', relname, attname) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
    WHERE relname LIKE 'after_hours_%' AND relkind = 'r' AND relname <> 'after_hours_alembic_version'
        AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
    UNION ALL
    SELECT indexrelid::regclass::text FROM pg_index
    WHERE indrelid::regclass::text LIKE 'after_hours_%' AND obj_description(indexrelid, 'pg_class') IS NULL
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    UNION ALL
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE proname LIKE 'after_hours_%' AND obj_description(oid, 'pg_proc') IS NULL
"""


def test_docs_schema_sql_is_what_migrations_make(migrated: postgres.Database) -> None:
    assert tables.FILE.read_text() == tables.text(migrated), "make schema"


def test_each_table_column_index_and_function_has_a_comment(migrated: postgres.Database) -> None:
    with closing(migrated.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(UNDESCRIBED)
        assert cursor.fetchall() == []
