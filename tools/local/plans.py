"""How PostgreSQL executes a statement: its plan, and the tables that it really read.

The counts include what a plan does not show: statements of functions, of triggers, and of foreign keys that cascade.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)
from psycopg2.extensions import cursor as Cursor  # noqa: N812 (a class)

_HAS_PLAN = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
_READ = """
    SELECT relname, seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
    WHERE seq_scan > 0 OR idx_tup_fetch > 0
"""


@dataclass(frozen=True)
class Execution:
    """One statement's execution."""

    nodes: list[dict[str, Any]]  # of the plans of all its parts (a lock, and the change), as EXPLAIN has them
    sequential: set[str]  # the tables that the plan or the execution reads from one end to the other
    by_index: dict[str, int]  # table → rows


def execution(connection: Connection, statement: str, parameters: Mapping[str, object] | None = None) -> Execution:
    """Explain and run a statement on a connection in autocommit mode, and roll it back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")  # so that what was read before this is not counted
        cursor.execute("BEGIN")
        try:
            nodes = [
                node for part in filter(str.strip, statement.split(";")) for node in _executed(cursor, part, parameters)
            ]
            cursor.execute(_READ)
            read = cursor.fetchall()
        finally:
            cursor.execute("ROLLBACK")
    planned = {node["Relation Name"] for node in nodes if node.get("Node Type", "").endswith("Seq Scan")}
    return Execution(
        nodes,
        planned | {table for table, scans, _ in read if scans},
        {table: rows for table, _, rows in read if rows},
    )


def _executed(cursor: Cursor, part: str, parameters: Mapping[str, object] | None) -> Iterator[dict[str, Any]]:
    """Execute a part of a statement, and yield the nodes of its plan."""
    if _HAS_PLAN.match(part):
        cursor.execute(f"EXPLAIN (FORMAT JSON) {part}", parameters)
        [(answer,)] = cursor.fetchall()
        yield from _nodes(answer[0]["Plan"])
    cursor.execute(part, parameters)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
