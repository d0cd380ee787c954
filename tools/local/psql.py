"""A psql on the database of the running system.

A statement of the package is shown, with plausible parameters; in psql, `:statement` stands for it. What it changes is
kept when it is committed.
"""

import os
import sys
from contextlib import closing
from typing import NoReturn

import psycopg2
import psycopg2.extras

from tools.local.postgres import BINARIES
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, CommandError, Workspace

_HELP = """
This is {name}. Run it, and undo what it did:
    BEGIN; :statement; ROLLBACK;
How PostgreSQL would read the tables (of a statement of one part):
    EXPLAIN :statement;

"""


def psql(workspace: Workspace, sql: str | None, statement: str | None) -> NoReturn:
    """`make psql [SQL="SELECT 1"] [STATEMENT=sessions._START]`: become psql, which then has the terminal for itself."""
    database_url = Stack.load(workspace).database_url
    options = ["--command", sql] if sql else []
    if statement:
        options += ["--set", f"statement={_written_out(statement, database_url)}"]
    program = str(BINARIES / "psql")
    os.execv(program, [program, "--set", "ON_ERROR_STOP=1", *options, database_url])  # noqa: S606 (it needs no shell)


def _written_out(name: str, database_url: str) -> str:
    """Return the statement with parameters in it, and print it. Raises `CommandError` when there is none."""
    sys.path.insert(0, str(REPOSITORY / "layers" / "after_hours" / "python"))  # the package, where the layer has it
    from tools.local.statements import PARAMETERS, STATEMENTS  # noqa: PLC0415 (it imports all of the package)

    if name not in STATEMENTS:
        raise CommandError(f"There is no statement {name}. There are: {', '.join(STATEMENTS)}")
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        psycopg2.extras.register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
        statement = cursor.mogrify(STATEMENTS[name], PARAMETERS).decode()
    sys.stdout.write(statement + _HELP.format(name=name))
    sys.stdout.flush()
    return statement
