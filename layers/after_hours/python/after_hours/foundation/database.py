"""PostgreSQL: each warm function has one connection, which is opened on first use and again after it broke.

Every statement commits by itself (autocommit), so changes that belong together are one statement. An endpoint that only
reads takes one round trip. One that changes takes one for the access check, one for the change and, if tasks follow, a
third that settles them.
"""

import select
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2's name for the class)
from psycopg2.extras import RealDictCursor

from after_hours.foundation import secrets
from after_hours.foundation.connecting import ENDPOINT, ReadLogin, TimedConnection, Timeouts, open_connection
from after_hours.foundation.faults import DatabaseUnavailable, InternalError, OutcomeUnknown

type Row = dict[str, Any]
type Parameters = Mapping[str, object] | None

IDLE_SECONDS = 60  # network devices drop idle connections silently, the quickest after some minutes

_READ_ONLY = "25006"  # after a failover we may still be connected to the old writer
# Errors of a server or a pooler that shuts down (PostgreSQL, appendix A): the statement may have taken effect.
_GOING_AWAY = ("08", "57P")


class Database:
    """A lazy connection to PostgreSQL. Not for use by several threads at once.

    A method raises `DatabaseUnavailable` when the server cannot be reached or refuses, and then nothing was changed;
    `OutcomeUnknown` when the statement was sent and no answer came; `InternalError` when the statement is at fault. The
    first two drop the connection, so that the next call opens a new one. A statement is sent once, since it may have
    changed something. Only `read_all` retries, once, on a new connection, when a kept one gave no answer.

    A statement may be preceded by others in the same text (a lock, say): they share one round trip and one transaction.
    """

    def __init__(self, read_login: ReadLogin, timeouts: Timeouts = ENDPOINT) -> None:
        """`read_login(fresh=…)` returns the server's address, a role and its password; fresh after a failed attempt."""
        self._read_login = read_login
        self._timeouts = timeouts
        self._connection: TimedConnection | None = None
        self._used_at = 0.0

    def open(self) -> None:
        """Open the connection now, if there is none, and not with the next statement."""
        self._usable_connection()

    def execute(self, statement: str, parameters: Parameters = None) -> int:
        """Run a statement, and return the number of rows that it changed."""
        return self._run(statement, parameters, lambda cursor: cursor.rowcount)

    def find_one(self, statement: str, parameters: Parameters = None) -> Row | None:
        """Run a statement that has one row or none, and return it."""
        return self._run(statement, parameters, lambda cursor: dict(row) if (row := cursor.fetchone()) else None)

    def read_all(self, statement: str, parameters: Parameters = None) -> list[Row]:
        """Run a statement that only reads, and return its rows. It may be sent twice."""
        kept = self._connection is not None
        try:
            return self.fetch_all(statement, parameters)
        except OutcomeUnknown:
            if not kept:
                raise
        return self.fetch_all(statement, parameters)

    def fetch_one(self, statement: str, parameters: Parameters = None) -> Row:
        """Run a statement that always has a row, and return it.

        For example:
            database.fetch_one("SELECT %(one)s + 1 AS two", {"one": 1})  # {"two": 2}
        """
        row = self.find_one(statement, parameters)
        if row is None:
            raise InternalError("a statement that always has a row had none")
        return row

    def fetch_all(self, statement: str, parameters: Parameters = None) -> list[Any]:
        """Run a statement that bounds its rows itself (by a LIMIT, say), and return them, each a `Row`."""
        return self._run(statement, parameters, lambda cursor: [dict(row) for row in cursor.fetchall()])

    def close(self) -> None:
        """Close the connection, if there is one. The next statement opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run[Result](self, statement: str, parameters: Parameters, read: Callable[[RealDictCursor], Result]) -> Result:
        connection = self._usable_connection()
        try:
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(statement, parameters)
                self._used_at = time.time()
                return read(cursor)
        except psycopg2.Error as error:
            raise self._translated(error) from None

    def _usable_connection(self) -> Connection:
        if self._connection is not None and (_was_closed(self._connection) or self._was_dropped(self._connection)):
            self.close()
        if self._connection is None:
            self._connection = open_connection(self._read_login, self._timeouts)
            self._used_at = time.time()
        return self._connection

    def _was_dropped(self, connection: "TimedConnection") -> bool:
        """Tell whether the network dropped a connection that was idle for a minute, by a query with a short timeout.

        A network device that drops a connection tells neither side: a statement would get no answer, and its outcome
        would be unknown. The wall clock measures the idle time, since the monotonic clock may stand still while Lambda
        freezes a function.
        """
        if time.time() - self._used_at < IDLE_SECONDS:
            return False
        connection.timeout_seconds = self._timeouts.connect_seconds
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error:
            return True
        connection.timeout_seconds = self._timeouts.silence_seconds
        return False

    def _translated(self, error: psycopg2.Error) -> Exception:
        """Return the fault for an error, without PostgreSQL's message, which may quote a row: a place, a text."""
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or error.pgcode == _READ_ONLY:
            self.close()
            answered = error.pgcode is not None and not error.pgcode.startswith(_GOING_AWAY)
            fault = DatabaseUnavailable if answered else OutcomeUnknown
            return fault(f"{type(error).__name__} {error.pgcode or ''}".strip())
        return InternalError(f"PostgreSQL refused a statement: {type(error).__name__} {error.pgcode}")


def _was_closed(connection: Connection) -> bool:
    """Tell whether the server closed an idle connection, without a round trip.

    An idle server sends nothing, so a readable socket has the server's last error message or the end of the stream.
    """
    if connection.closed:
        return True
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return bool(readable)


@cache
def shared(timeouts: Timeouts = ENDPOINT) -> Database:
    """Return the one `Database` of this warm function. It opens no connection before its first statement."""
    return Database(secrets.database_login, timeouts)
