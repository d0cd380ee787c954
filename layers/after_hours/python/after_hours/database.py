"""PostgreSQL: one connection a warm function, opened on first use, kept, and opened again when it broke.

Every statement commits by itself (autocommit): a change that must be one is written as one statement, so that a request
costs one round trip for the access check and one, seldom two, for its work.
"""

import math
import select
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2's name for the class)
from psycopg2.extras import RealDictCursor, register_uuid

from after_hours import config
from after_hours.errors import DatabaseUnavailable, InternalError, OutcomeUnknown

type Row = dict[str, Any]
type Parameters = Mapping[str, object] | None

CONNECT_TIMEOUT_SECONDS = 2
STATEMENT_TIMEOUT_MILLISECONDS = 5_000
SILENCE_TIMEOUT_SECONDS = 6.0  # by then a server that is well has given up the statement
RECONNECT_PAUSE_SECONDS = 0.1

_READ_ONLY = "25006"  # still connected to what was the writer before a failover
# Classes of errors that a server or a pooler sends when it goes away: what became of the statement is not certain.
_GOING_AWAY = ("08", "57P")


class Database:
    """A lazy connection to PostgreSQL. Not for use by several threads at once.

    A method raises `DatabaseUnavailable` when the server cannot be reached or refuses, and then nothing was changed;
    `OutcomeUnknown` when the statement was sent and no answer came; `InternalError` when the statement is at fault. The
    first two drop the connection, so that the next call opens a new one. A statement is never sent twice: what is tried
    again, once, is opening the connection, before anything was sent.

    A statement may be preceded by others in the same text (a lock, say): they share one round trip and one transaction.
    """

    def __init__(self, secret: Callable[..., config.DatabaseSecret]) -> None:
        """`secret(fresh=…)` gives the server's address and password; fresh after a refused connection."""
        self._secret = secret
        self._connection: Connection | None = None

    def execute(self, statement: str, parameters: Parameters = None) -> int:
        """Run a statement for its effect. Returns the number of rows that it changed."""
        return self._run(statement, parameters, lambda cursor: cursor.rowcount)

    def find_one(self, statement: str, parameters: Parameters = None) -> Row | None:
        """Run a statement that has one row or none, and return it."""
        return self._run(statement, parameters, lambda cursor: dict(row) if (row := cursor.fetchone()) else None)

    def fetch_one(self, statement: str, parameters: Parameters = None) -> Row:
        """Run a statement that always has a row, and return it."""
        row = self.find_one(statement, parameters)
        if row is None:
            raise InternalError("a statement that always has a row had none")
        return row

    def fetch_all(self, statement: str, parameters: Parameters = None) -> list[Any]:
        """Run a statement that bounds its rows itself (by a LIMIT, say), and return them, each a `Row`."""
        return self._run(statement, parameters, lambda cursor: [dict(row) for row in cursor.fetchall()])

    def _run[Result](self, statement: str, parameters: Parameters, read: Callable[[RealDictCursor], Result]) -> Result:
        connection = self._usable_connection()
        try:
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(statement, parameters)
                return read(cursor)
        except psycopg2.Error as error:
            raise self._translated(error) from None

    def close(self) -> None:
        """Close the connection, if there is one. The next statement opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _usable_connection(self) -> Connection:
        if self._connection is not None and _is_broken(self._connection):
            self.close()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Connection:
        try:
            return connect(self._secret())
        except psycopg2.OperationalError:
            time.sleep(RECONNECT_PAUSE_SECONDS)
        try:
            return connect(self._secret(fresh=True))
        except psycopg2.OperationalError:
            raise DatabaseUnavailable("PostgreSQL refuses the connection or cannot be reached") from None

    def _translated(self, error: psycopg2.Error) -> Exception:
        """Name the error without its message, which may quote the row: where someone is, what they wrote."""
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or error.pgcode == _READ_ONLY:
            self.close()
            answered = error.pgcode is not None and not error.pgcode.startswith(_GOING_AWAY)
            fault = DatabaseUnavailable if answered else OutcomeUnknown
            return fault(f"{type(error).__name__} {error.pgcode or ''}".strip())
        return InternalError(f"PostgreSQL refused a statement: {type(error).__name__} {error.pgcode}")


class _Patient(Connection):
    """A connection that waits for its server only so long."""

    patience_seconds: float | None = SILENCE_TIMEOUT_SECONDS


def connect(secret: config.DatabaseSecret, *, patience_seconds: float | None = SILENCE_TIMEOUT_SECONDS) -> Connection:
    """Open a connection that commits each statement by itself. Raises psycopg2.OperationalError.

    It raises that as well when the server says nothing for `patience_seconds`; None waits for ever.
    """
    # A server that is frozen, or a proxy with no connection to lend, still acknowledges every packet: neither TCP nor
    # the server's own statement_timeout ends that wait. psycopg2 leaves waiting to this, whatever the connection.
    extensions.set_wait_callback(_wait)
    connection: _Patient = psycopg2.connect(
        host=secret.host,
        port=secret.port,
        user=secret.username,
        password=secret.password,
        dbname=secret.dbname,
        sslmode=secret.sslmode,
        application_name="after-hours",
        client_encoding="UTF8",
        options=f"-c statement_timeout={STATEMENT_TIMEOUT_MILLISECONDS} -c TimeZone=UTC",
        connection_factory=_Patient,
    )
    connection.patience_seconds = patience_seconds
    connection.autocommit = True
    register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
    return connection


def _wait(connection: Connection) -> None:
    patience = getattr(connection, "patience_seconds", None)
    if patience is not None and connection.status == extensions.STATUS_SETUP:
        patience = CONNECT_TIMEOUT_SECONDS
    deadline = time.monotonic() + (math.inf if patience is None else patience)
    while (state := connection.poll()) != extensions.POLL_OK:
        left = deadline - time.monotonic()
        reading, writing = ([connection], []) if state == extensions.POLL_READ else ([], [connection])
        if left <= 0 or not any(select.select(reading, writing, [], None if left == math.inf else left)):
            raise psycopg2.OperationalError("no answer in time")


def _is_broken(connection: Connection) -> bool:
    """Tell, without sending anything, whether the server closed an idle connection.

    An idle server says nothing, so a readable socket holds its farewell (or the end of the stream). Asking `SELECT 1`
    instead would cost every request a round trip.
    """
    if connection.closed:
        return True
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return bool(readable)


@cache
def shared() -> Database:
    """Return the one database of this warm function. Nothing is opened before its first statement."""
    return Database(config.database_secret.read)
