"""`make schema` writes docs/schema.sql: our tables as a migrated database has them, each thing beside its comment.

It is what pg_dump prints, in another order: a table with its columns, rules, indexes and triggers, then the next one.
"""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from tools.local import migrated, postgres
from tools.local.workspace import REPOSITORY

FILE = REPOSITORY / "docs" / "schema.sql"

_HEADING = """\
-- The tables of After Hours, as migrations/ makes them, without the names of schemas. `make schema` writes this file.
-- The main app's tables, which ours refer to, are in migrations/host_tables.sql.
"""
_ENTRY = re.compile(r"^--\n-- Name: (?P<name>.+); Type: (?P<type>.+); Schema: .*\n--\n", re.MULTILINE)
_COMMENT = re.compile(r"COMMENT ON (?P<what>.+?) IS '(?P<text>(?:[^']|'')*)';", re.DOTALL)
_NEEDLESS = re.compile(r"public\.|^SET .*;\n| ONLY| USING btree|::(?:text|character varying)(?:\[\])?", re.MULTILINE)
_COLUMN = re.compile(r"^    (?P<name>[a-z_]+) (?!KEY)", re.MULTILINE)


class _Entry(NamedTuple):
    name: str
    type: str
    sql: str


def text(database: postgres.Database) -> str:
    """Return docs/schema.sql as it should be, for a migrated database."""
    entries = list(_entries(_dump(database)))
    comments = {what: said.replace("''", "'") for entry in entries for what, said in _COMMENT.findall(entry.sql)}
    tables = [entry for entry in entries if entry.type in {"TABLE", "VIEW"} and entry.name.startswith("after_hours_")]
    tables.sort(key=lambda table: (table.type, table.name))
    parts = [_HEADING]
    for table in tables:
        parts += [_described(table, comments), *(_described(part, comments) for part in entries if _is_of(table, part))]
    parts += [_described(entry, comments) for entry in entries if entry.type == "FUNCTION"]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _dump(database: postgres.Database) -> str:
    command = [postgres.BINARIES / "pg_dump", "--schema-only", "--no-owner", "--no-privileges", database.url]
    dumped = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
    return re.sub(r"^(--\n-- PostgreSQL database dump complete\n--|\\unrestrict .*)$", "", dumped, flags=re.MULTILINE)


def _entries(dumped: str) -> Iterator[_Entry]:
    found = list(_ENTRY.finditer(dumped))
    for heading, following in zip(found, [*found[1:], None], strict=True):
        sql = dumped[heading.end() : following.start() if following else None]
        yield _Entry(heading["name"], heading["type"], _NEEDLESS.sub("", sql).strip())


def _is_of(table: _Entry, part: _Entry) -> bool:
    """Return whether the entry is a rule, an index or a trigger of the table."""
    of_tables = {"CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "TRIGGER"}
    return part.type in of_tables and re.search(rf" (ON|TABLE) {table.name}\b", part.sql) is not None


def _described(entry: _Entry, comments: dict[str, str]) -> str:
    """Return the entry's statement below its comment; in that of a table, each column below its own."""
    sql = entry.sql
    if entry.type == "TABLE":
        sql = _COLUMN.sub(lambda column: _above(column[0], comments.get(f"COLUMN {entry.name}.{column['name']}")), sql)
    name = sql.removeprefix("CREATE FUNCTION ").partition(" RETURNS ")[0] if entry.type == "FUNCTION" else entry.name
    return _above(sql, comments.get(f"{entry.type} {name}"))


def _above(sql: str, comment: str | None) -> str:
    indent = sql[: len(sql) - len(sql.lstrip())]
    if not comment:
        return sql
    start = f"{indent}-- "
    return f"{textwrap.fill(comment, 120, initial_indent=start, subsequent_indent=start)}\n{sql}"


def main() -> None:
    with migrated.database() as database:
        FILE.write_text(text(database))
    sys.stdout.write("Wrote docs/schema.sql\n")


if __name__ == "__main__":
    main()
