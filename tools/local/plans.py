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
    SELECT relname, seq_scan, seq_tup_read, coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
    WHERE seq_scan > 0 OR idx_tup_fetch > 0
"""


@dataclass(frozen=True)
class Execution:
    """One statement's execution; `plans` has the JSON of EXPLAIN for each of its parts (a lock, and the change)."""

    plans: list[Any]
    sequential: dict[str, int]  # table → rows, of tables that were read from one end to the other
    by_index: dict[str, int]  # table → rows

    def nodes(self) -> Iterator[dict[str, Any]]:
        for plan in self.plans:
            yield from _nodes(plan)

    def sequential_scans(self) -> set[str]:
        """The tables that the plan or the execution reads from one end to the other."""
        planned = {node["Relation Name"] for node in self.nodes() if node.get("Node Type", "").endswith("Seq Scan")}
        return planned | self.sequential.keys()


def execution(connection: Connection, statement: str, parameters: Mapping[str, object] | None = None) -> Execution:
    """Explain and run a statement on a connection in autocommit mode, and roll it back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")  # so that what was read before this is not counted
        cursor.execute("BEGIN")
        try:
            plans = [_explained(cursor, part, parameters) for part in filter(str.strip, statement.split(";"))]
            cursor.execute(_READ)
            read = cursor.fetchall()
        finally:
            cursor.execute("ROLLBACK")
    return Execution(
        plans,
        {table: rows for table, scans, rows, _ in read if scans},
        {table: rows for table, _, _, rows in read if rows},
    )


def _explained(cursor: Cursor, part: str, parameters: Mapping[str, object] | None) -> dict[str, Any]:
    plan: dict[str, Any] = {}
    if _HAS_PLAN.match(part):
        cursor.execute(f"EXPLAIN (FORMAT JSON) {part}", parameters)
        [(answer,)] = cursor.fetchall()
        plan = answer[0]["Plan"]
    cursor.execute(part, parameters)
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
