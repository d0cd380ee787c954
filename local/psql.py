"""`make psql [SQL="SELECT 1"]`: a psql on the database of the running system."""

import os
import sys
from typing import NoReturn

from local.postgres import BINARIES
from local.stack import Stack
from local.workspace import command_line, shows_errors


@shows_errors
def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("sql", nargs="?", help="run this, and end")
    arguments = parser.parse_args()
    return _psql(Stack.load(arguments.workspace).database_url, arguments.sql)


def _psql(database_url: str, sql: str | None) -> NoReturn:
    """Become psql, so that it has the terminal and its Ctrl-C for itself."""
    psql = str(BINARIES / "psql")
    statement = ["--command", sql] if sql else []
    os.execv(psql, [psql, "--set", "ON_ERROR_STOP=1", *statement, database_url])  # noqa: S606 (it needs no shell)


if __name__ == "__main__":
    sys.exit(main())
