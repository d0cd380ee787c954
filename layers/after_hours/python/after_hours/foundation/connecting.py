"""Opening connections to PostgreSQL: TLS with a verified certificate, timeouts, and repeated attempts."""

import math
import re
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import NamedTemporaryFile

import botocore
import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2's name for the class)
from psycopg2.extras import register_uuid

from after_hours.foundation import secrets
from after_hours.foundation.faults import DatabaseUnreachable

type ReadLogin = Callable[..., secrets.DatabaseSecret]  # with `fresh=True`, the password does not come from a cache

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# Certificate authorities: a file for each region of RDS, and one for RDS Proxy (Amazon Trust Services). libpq reads the
# whole file for each connection; one file for all regions took a quarter of a cold start. SHA256SUMS lists the files
# that were reviewed. To renew a region's: curl https://truststore.pki.rds.amazonaws.com/<region>/<region>-bundle.pem
_ROOT_CERTIFICATES = Path(__file__).with_name("root-certificates")
_PUBLIC_AUTHORITIES = Path(botocore.__file__).with_name("cacert.pem")
_RDS_HOST = re.compile(r"(\.proxy-[a-z0-9]+)?\.([a-z0-9-]+)\.rds\.amazonaws\.com$")


@dataclass(frozen=True)
class Timeouts:
    """How long a function waits for PostgreSQL.

    `connect_seconds` is for one attempt to connect: the server's answer, TLS and the login. Attempts are repeated for
    `retry_seconds`, at least once. `silence_seconds` is for the answer to a statement. It is longer than the
    role's statement_timeout, so only a server that does not answer at all reaches it. None means no limit.
    """

    connect_seconds: float
    silence_seconds: float | None
    retry_seconds: float = 0


ENDPOINT = Timeouts(connect_seconds=2, silence_seconds=6)  # a member waits
JOB = Timeouts(connect_seconds=15, silence_seconds=10)  # a paused Aurora takes 15 to 30 s to resume
MIGRATION = Timeouts(connect_seconds=30, silence_seconds=None, retry_seconds=30)


class TimedConnection(Connection):
    """A connection that waits for its server at most `timeout_seconds` at a time, connecting included."""

    def __init__(self, dsn: str, *, timeout_seconds: float | None) -> None:
        self.timeout_seconds = timeout_seconds
        super().__init__(dsn)  # connects


def open_connection(read_login: ReadLogin, timeouts: Timeouts) -> TimedConnection:
    """Open a connection; if that fails, try again with a fresh password. Raises `DatabaseUnreachable`."""
    give_up_at = time.monotonic() + timeouts.retry_seconds
    fresh, pause = False, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return connect(read_login(fresh=fresh), timeouts)
        except psycopg2.OperationalError as error:
            if fresh and time.monotonic() >= give_up_at:
                reason = " ".join(str(error).split())  # it names an address and a role; there is no row yet to quote
                raise DatabaseUnreachable(f"PostgreSQL refuses or cannot be reached: {reason}") from None
        time.sleep(pause)
        fresh, pause = True, min(2 * pause, _LONGEST_PAUSE_SECONDS)


def connect(login: secrets.DatabaseSecret, timeouts: Timeouts) -> TimedConnection:
    """Open a connection that commits each statement by itself. Raises psycopg2.OperationalError.

    Its statements raise the same if the server does not answer for `timeouts.silence_seconds`. The connection has no
    settings of its own: RDS Proxy refuses them in the startup message, and after a SET it pins the connection, which it
    can then no longer share. Settings belong to the role (migrations/serving_role.py).
    """
    # A server that is frozen, or a proxy with no connection to lend, still acknowledges every packet: neither TCP nor
    # the server's own statement_timeout ends that wait. The callback is for all psycopg2 connections of the process.
    extensions.set_wait_callback(_wait)
    connection: TimedConnection = psycopg2.connect(
        host=login.host,
        port=login.port,
        user=login.username,
        password=login.password,
        dbname=login.dbname,
        sslmode=login.sslmode,
        sslrootcert=_file_of(login.sslrootcert) if login.sslrootcert else str(_authorities(login.host)),
        application_name="after-hours",
        client_encoding="UTF8",
        connection_factory=partial(TimedConnection, timeout_seconds=timeouts.connect_seconds),
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
    """Write certificates to a file, since libpq reads only files. The file is kept while the function is warm."""
    with NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(certificates)
    return file.name


def _wait(connection: Connection) -> None:
    timeout = getattr(connection, "timeout_seconds", None)
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while (state := connection.poll()) != extensions.POLL_OK:
        remaining = deadline - time.monotonic()
        reading, writing = ([connection], []) if state == extensions.POLL_READ else ([], [connection])
        if remaining <= 0 or not any(select.select(reading, writing, [], None if remaining == math.inf else remaining)):
            raise psycopg2.OperationalError("no answer in time")
