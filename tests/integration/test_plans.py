"""Nothing reads a table that grows from one end to the other: what a member or a duty costs does not grow with it."""

import re
from collections.abc import Callable, Iterator

import psycopg2.extras
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tools.local import plans, population, postgres
from tools.local.statements import PARAMETERS, STATEMENTS

pytestmark = pytest.mark.slow  # the population takes seconds to make

EVERYONE = 30_000
LIVE = 3_000
MEMBER = "member-77"
PARAMETERS = PARAMETERS | {"user_id": MEMBER}
BATCH = 3_000  # the rows of a table that one statement may read, however many there are


# Something for each duty that looks for sessions by a time.
DUE = """
    UPDATE after_hours_sessions SET expires_at = now() - interval '1 second' WHERE user_id LIKE 'member-11_';
    UPDATE after_hours_sessions SET expires_at = now() + interval '2 minutes'
    WHERE user_id LIKE 'member-12_' AND ended_at IS NULL
"""

# Other tables' rows go with these; and the main app looks for live members to match.
OTHERS = {
    "the account is deleted": "DELETE FROM users WHERE id = %(user_id)s",
    "matching": """
        SELECT user_id, fuzzed_latitude, fuzzed_longitude FROM after_hours_sessions
        WHERE ended_at IS NULL AND expires_at > now()
    """,
}
OF_THE_RELEASE_BEFORE = {"after_hours_sessions_scheduled", "after_hours_sessions_unscheduled"}
USED = "SELECT indexrelid::regclass::text FROM pg_index WHERE pg_stat_get_xact_numscans(indexrelid) > 0"
OURS = """
    SELECT indexrelid::regclass::text FROM pg_index
    WHERE indexrelid::regclass::text LIKE 'after_hours_%'
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        AND indrelid <> 'after_hours_matches'::regclass
"""


@pytest.fixture(scope="module")
def large(
    new_database: Callable[[str, str], postgres.Database], upgraded_template: postgres.Database
) -> Iterator[Connection]:
    """A database that has served members for a while, with something due for every duty."""
    connection = new_database("large", upgraded_template.dbname).connect()
    population.join(connection, EVERYONE)
    population.end_sessions(connection, EVERYONE)
    population.match(connection)
    population.go_live(connection, LIVE)
    with connection, connection.cursor() as cursor:
        cursor.execute(population.WAITING, {"number": 20_000})
        cursor.execute(DUE)
    population.analyze(connection)
    connection.autocommit = True
    psycopg2.extras.register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
    yield connection
    connection.close()


# These read what they count: what is undone, however much it is; and all banned photos, which no index can compare.
COUNTING = {"backlog._UNDONE", "uploads._BANNED"}


@pytest.mark.parametrize("name", [name for name in (*STATEMENTS, "the account is deleted") if name not in COUNTING])
def test_no_statement_reads_a_table_from_one_end_to_the_other(name: str, large: Connection) -> None:
    """What cascades is seen, too, though it is in no plan: so each foreign key has an index."""
    execution = plans.execution(large, (STATEMENTS | OTHERS)[name], PARAMETERS)
    assert execution.sequential == set()
    assert max([0, *execution.by_index.values()]) <= BATCH, execution.by_index
    # PostgreSQL inlines a function only while it keeps to rules that a changed one may break unnoticed.
    assert "after_hours_entitlements" not in {node.get("Function Name") for node in execution.nodes}


def test_one_function_ends_sessions() -> None:
    assert [name for name, text in STATEMENTS.items() if re.search(r"SET\s[^;]*\bended_at\s*=", text)] == []


def test_what_is_undone_is_counted_by_indexes_and_without_workers(large: Connection) -> None:
    """PostgreSQL takes sessions that are in order for undone ones, and beside a million starts workers to count them.

    Here it is made as eager with fewer, and all rows are as new to it as those of a busy day.
    """
    with large.cursor() as cursor:
        cursor.execute("SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 100")
        cursor.execute("UPDATE pg_class SET relallvisible = 0 WHERE relname = 'after_hours_sessions'")
        execution = plans.execution(large, STATEMENTS["backlog._UNDONE"], PARAMETERS)
        cursor.execute("RESET ALL")
    assert execution.sequential == set()
    assert [node["Node Type"] for node in execution.nodes if node["Node Type"].startswith("Gather")] == []


def test_each_index_serves_a_statement(large: Connection) -> None:
    used: set[str] = set()
    tried = {name: STATEMENTS[name] for name in STATEMENTS if name != "uploads._BANNED"} | OTHERS
    with large.cursor() as cursor:
        for statement in tried.values():
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute("BEGIN")
            cursor.execute(statement, PARAMETERS)
            cursor.execute(USED)
            used |= {index for (index,) in cursor.fetchall()}
            cursor.execute("ROLLBACK")
        cursor.execute(OURS)
        assert {index for (index,) in cursor.fetchall()} - used == OF_THE_RELEASE_BEFORE
