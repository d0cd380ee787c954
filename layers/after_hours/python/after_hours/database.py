"""PostgreSQL: one connection a warm function, opened on first use, kept, and opened again when it broke.

Every statement commits by itself (autocommit), so what must change together is written as one statement. An endpoint
that reads costs one round trip; one that changes costs one for the access check and one, seldom two, for its work.
"""

import math
import re
import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import botocore
import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2's name for the class)
from psycopg2.extras import RealDictCursor, register_uuid

from after_hours import config
from after_hours.errors import DatabaseUnavailable, DatabaseUnreachable, InternalError, OutcomeUnknown

type Row = dict[str, Any]
type Parameters = Mapping[str, object] | None
type Access = Callable[..., config.DatabaseSecret]  # takes `fresh`: True where a cached password will not do

IDLE_SECONDS = 60  # network devices drop idle connections without a word; the quickest do so after minutes

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# Authorities of RDS, a file for each region, and of RDS Proxy (Amazon Trust Services). libpq reads the whole of a file
# for each connection, and all of them in one took a quarter of a cold start. SHA256SUMS lists the files that were
# reviewed. To renew a region's: curl https://truststore.pki.rds.amazonaws.com/<region>/<region>-bundle.pem
_ROOT_CERTIFICATES = Path(__file__).with_name("root-certificates")
_PUBLIC_AUTHORITIES = Path(botocore.__file__).with_name("cacert.pem")
_RDS_HOST = re.compile(r"(\.proxy-[a-z0-9]+)?\.([a-z0-9-]+)\.rds\.amazonaws\.com$")

_READ_ONLY = "25006"  # we are still connected to the server that was the writer before a failover
# A server or a pooler that goes away sends errors of these classes: whether the statement took effect is unknown.
_GOING_AWAY = ("08", "57P")


@dataclass(frozen=True)
class Timeouts:
    """How long a function waits for PostgreSQL.

    `connect_seconds` is for one attempt to connect: the server's answer, TLS and the login. Attempts are repeated for
    `retry_seconds`, and a second one is always made. `silence_seconds` is for the answer to a statement, and longer
    than the role's statement_timeout, so that only a server that does not answer at all reaches it; None waits for
    ever.
    """

    connect_seconds: float
    silence_seconds: float | None
    retry_seconds: float = 0


ENDPOINT = Timeouts(connect_seconds=2, silence_seconds=6)  # a member waits
JOB = Timeouts(connect_seconds=15, silence_seconds=10)  # an Aurora that was paused takes 15 to 30 s to resume
MIGRATION = Timeouts(connect_seconds=30, silence_seconds=None, retry_seconds=30)


class Database:
    """A lazy connection to PostgreSQL. Not for use by several threads at once.

    A method raises `DatabaseUnavailable` when the server cannot be reached or refuses, and then nothing was changed;
    `OutcomeUnknown` when the statement was sent and no answer came; `InternalError` when the statement is at fault. The
    first two drop the connection, so that the next call opens a new one. A statement is sent once, for it may have
    changed something. Only a statement that is declared to read alone is retried, once, on a new connection, when a
    kept connection gave no answer.

    A statement may be preceded by others in the same text (a lock, say): they share one round trip and one transaction.
    """

    def __init__(self, secret: Access, timeouts: Timeouts = ENDPOINT) -> None:
        """`secret(fresh=…)` gives the server's address and password; fresh after a refused connection."""
        self._secret = secret
        self._timeouts = timeouts
        self._connection: _TimedConnection | None = None
        self._used_at = 0.0

    def open(self) -> None:
        """Open the connection now, if there is none, rather than with the next statement."""
        self._usable_connection()

    def execute(self, statement: str, parameters: Parameters = None) -> int:
        """Run a statement for its effect. Returns the number of rows that it changed."""
        return self._run(statement, parameters, lambda cursor: cursor.rowcount)

    def find_one(self, statement: str, parameters: Parameters = None, *, only_reads: bool = False) -> Row | None:
        """Run a statement that has one row or none, and return it. One that `only_reads` may be sent twice."""

        def read(cursor: RealDictCursor) -> Row | None:
            return dict(row) if (row := cursor.fetchone()) else None

        kept = self._connection is not None
        try:
            return self._run(statement, parameters, read)
        except OutcomeUnknown:
            if not (only_reads and kept):
                raise
        return self._run(statement, parameters, read)

    def fetch_one(self, statement: str, parameters: Parameters = None) -> Row:
        """Run a statement that always has a row, and return it."""
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
        if self._connection is not None and (_is_broken(self._connection) or self._was_forgotten(self._connection)):
            self.close()
        if self._connection is None:
            self._connection = open_connection(self._secret, self._timeouts)
            self._used_at = time.time()
        return self._connection

    def _was_forgotten(self, connection: "_TimedConnection") -> bool:
        """Tell whether the network dropped a connection that was idle for a minute, by a query with a short timeout.

        A network device that drops a connection tells neither side: a statement would get no answer, and nobody would
        know whether a change was made. The idle time is taken from the wall clock, since the monotonic clock may stand
        still while Lambda freezes a function.
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
        """Name the error without its message, which may quote the row: where someone is, what they wrote."""
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or error.pgcode == _READ_ONLY:
            self.close()
            answered = error.pgcode is not None and not error.pgcode.startswith(_GOING_AWAY)
            fault = DatabaseUnavailable if answered else OutcomeUnknown
            return fault(f"{type(error).__name__} {error.pgcode or ''}".strip())
        return InternalError(f"PostgreSQL refused a statement: {type(error).__name__} {error.pgcode}")


class _TimedConnection(Connection):
    """A connection with a timeout for each wait for its server, connecting included."""

    def __init__(self, dsn: str, *, timeout_seconds: float | None) -> None:
        self.timeout_seconds = timeout_seconds
        super().__init__(dsn)  # connects


def open_connection(access: Access, timeouts: Timeouts) -> _TimedConnection:
    """Open a connection; when that fails, try again with a fresh password. Raises `DatabaseUnreachable`."""
    give_up_at = time.monotonic() + timeouts.retry_seconds
    fresh, pause = False, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return connect(access(fresh=fresh), timeouts)
        except psycopg2.OperationalError as error:
            if fresh and time.monotonic() >= give_up_at:
                reason = " ".join(str(error).split())  # it names an address and a role; there is no row yet to quote
                raise DatabaseUnreachable(f"PostgreSQL refuses or cannot be reached: {reason}") from None
        time.sleep(pause)
        fresh, pause = True, min(2 * pause, _LONGEST_PAUSE_SECONDS)


def connect(access: config.DatabaseSecret, timeouts: Timeouts) -> _TimedConnection:
    """Open a connection that commits each statement by itself. Raises psycopg2.OperationalError.

    Its statements raise the same when the server does not answer for `timeouts.silence_seconds`. The connection has no
    settings of its own: RDS Proxy refuses them at the start, and pins the connection after a SET, so that it can no
    longer share it. Such settings belong to the role (migrations/serving_role.py).
    """
    # A server that is frozen, or a proxy with no connection to lend, still acknowledges every packet: neither TCP nor
    # the server's own statement_timeout ends that wait. The callback holds for every psycopg2 connection of a process.
    extensions.set_wait_callback(_wait)
    connection: _TimedConnection = psycopg2.connect(
        host=access.host,
        port=access.port,
        user=access.username,
        password=access.password,
        dbname=access.dbname,
        sslmode=access.sslmode,
        sslrootcert=_file_of(access.sslrootcert) if access.sslrootcert else str(_authorities(access.host)),
        application_name="after-hours",
        client_encoding="UTF8",
        connection_factory=partial(_TimedConnection, timeout_seconds=timeouts.connect_seconds),
    )
    connection.timeout_seconds = timeouts.silence_seconds
    connection.autocommit = True
    register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
    return connection


def _authorities(host: str) -> Path:
    """Return the file of the certificate authorities of a host: those of RDS in its region, or the public ones."""
    rds = _RDS_HOST.search(host)
    if not rds:
        return _PUBLIC_AUTHORITIES
    return _ROOT_CERTIFICATES / ("amazon.pem" if rds[1] else f"{rds[2]}.pem")


@cache
def _file_of(certificates: str) -> str:
    """Write certificates to a file, the only form in which libpq reads them. It is kept while the function is warm."""
    with NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(certificates)
    return file.name


def _wait(connection: Connection) -> None:
    timeout = getattr(connection, "timeout_seconds", None)
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while (state := connection.poll()) != extensions.POLL_OK:
        left = deadline - time.monotonic()
        reading, writing = ([connection], []) if state == extensions.POLL_READ else ([], [connection])
        if left <= 0 or not any(select.select(reading, writing, [], None if left == math.inf else left)):
            raise psycopg2.OperationalError("no answer in time")


def _is_broken(connection: Connection) -> bool:
    """Tell, without sending anything, whether the server closed an idle connection.

    An idle server sends nothing, so a readable socket holds its last error message or the end of the stream. A
    `SELECT 1` instead would cost every request a round trip.
    """
    if connection.closed:
        return True
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return bool(readable)


@cache
def shared(timeouts: Timeouts = ENDPOINT) -> Database:
    """Return the one `Database` of this warm function. It opens no connection before its first statement."""
    return Database(config.database_access, timeouts)
