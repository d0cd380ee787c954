"""Run the commands that a query of the catalogue returns for what is missing: a right, a column."""

from collections.abc import Mapping

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from migrations.failure import MigrationFailed


def run_missing(connection: Connection, query: str, parameters: Mapping[str, object], *, failing: str) -> None:
    """Run the commands that the query returns, each row (one command or more) in a transaction of its own.

    Raises `MigrationFailed`, with `failing` and the commands, if the query still returns some, because the connection's
    role may not run them.
    """
    for command in _missing(connection, query, parameters):
        _try(connection, command)
    if refused := _missing(connection, query, parameters):
        raise MigrationFailed(f"{failing} until a role with the rights for it runs: {'; '.join(refused)}")


def _missing(connection: Connection, query: str, parameters: Mapping[str, object]) -> list[str]:
    commands = list(connection.scalars(text(query), parameters))
    connection.rollback()
    return commands


def _try(connection: Connection, command: str) -> None:
    try:
        # A % in a command (of a name, say) is no placeholder.
        connection.exec_driver_sql(command, execution_options={"no_parameters": True})
        connection.commit()
    except DBAPIError as error:
        connection.rollback()
        if not isinstance(error.orig, psycopg2.errors.InsufficientPrivilege):
            raise
