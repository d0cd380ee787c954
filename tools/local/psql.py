"""`make psql [SQL="SELECT 1"] [STATEMENT=sessions._START]`: a psql on the database of the running system.

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
from tools.local.workspace import REPOSITORY, CommandError, command_line, shows_errors

_HELP = """
This is {name}. Run it, and undo what it did:
    BEGIN; :statement; ROLLBACK;
How PostgreSQL would read the tables (of a statement of one part):
    EXPLAIN :statement;

"""


@shows_errors
def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("sql", nargs="?", help="run this, and end")
    parser.add_argument("--statement", help="a statement of the package, by its module and name: sessions._START")
    arguments = parser.parse_args()
    database_url = Stack.load(arguments.workspace).database_url
    options = ["--command", arguments.sql] if arguments.sql else []
    if arguments.statement:
        options += ["--set", f"statement={_written_out(arguments.statement, database_url)}"]
    return _psql(database_url, options)


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


def _psql(database_url: str, options: list[str]) -> NoReturn:
    """Become psql, so that it has the terminal and its Ctrl-C for itself."""
    psql = str(BINARIES / "psql")
    os.execv(psql, [psql, "--set", "ON_ERROR_STOP=1", *options, database_url])  # noqa: S606 (it needs no shell)


if __name__ == "__main__":
    sys.exit(main())
