"""The soak's own connections to PostgreSQL, and its server's processes: both survive the faults of the server."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from threading import local as ThreadLocal  # noqa: N812 (a class)
from typing import Any

import psutil
import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tools.local.processes import Processes
from tools.local.workspace import CommandError

_RETRY_SECONDS = 120
_PAUSE_SECONDS = 0.2
_APPLICATION = "after-hours"


class RetryingDatabase:
    """Retries a transaction until PostgreSQL acknowledges it, so transactions must be idempotent. Thread-safe."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._own = ThreadLocal()

    def run(
        self,
        statement: str,
        parameters: Any = None,  # noqa: ANN401 (psycopg2's)
        *,
        on_deadlock: Callable[[], None] = lambda: None,
    ) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction, and return its rows, if it has any."""

        def send(connection: Connection) -> list[tuple[Any, ...]]:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall()) if cursor.description else []

        return self.retry(send, on_deadlock=on_deadlock)

    def retry[T](self, act: Callable[[Connection], T], *, on_deadlock: Callable[[], None] = lambda: None) -> T:
        """Act on a connection, and again while PostgreSQL does not answer. Raises its error after two minutes.

        `on_deadlock` is called each time that the transaction is a deadlock's victim, before it is retried.
        """
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            try:
                return act(self._connection())
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                if isinstance(error, psycopg2.errors.DeadlockDetected):
                    on_deadlock()
                self._own.connection = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def answers(self) -> bool:
        """Whether PostgreSQL takes a new connection now."""
        try:
            psycopg2.connect(self._url, connect_timeout=10).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            connection = self._own.connection = psycopg2.connect(self._url, connect_timeout=10, application_name="soak")
        return connection


class Server:
    """PostgreSQL's processes: killed, frozen, and started again on the same port with the same data."""

    def __init__(self, processes: Processes, database: RetryingDatabase) -> None:
        self._processes = processes
        self._database = database
        postmaster = processes.running("postgresql")
        self._command = postmaster.cmdline()
        self._user = postmaster.username() if os.geteuid() == 0 else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the server. SIGKILL ends them at once, as a loss of power does."""
        with suppress(psutil.NoSuchProcess, CommandError):
            postmaster = self._processes.running("postgresql")
            for process in [postmaster, *postmaster.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def restart(self) -> None:
        """Start the server again, and wait until it answers. Raises CommandError when it does not."""
        self._processes.start_server(
            "postgresql",
            self._command,
            environment={"PATH": os.defpath, "LANG": "C.UTF-8"},
            is_ready=self._database.answers,
            user=self._user,
            stop_signal=signal.SIGINT,
        )

    def cut_connections(self) -> None:
        """Terminate the backends of all functions."""
        self._database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", (_APPLICATION,)
        )

    def latest_caller(self) -> int | None:
        """Return the client port of the function that sent the last statement, and so is most likely at work."""
        rows = self._database.run(
            "SELECT client_port FROM pg_stat_activity WHERE application_name = %s ORDER BY query_start DESC LIMIT 1",
            (_APPLICATION,),
        )
        return int(rows[0][0]) if rows else None
