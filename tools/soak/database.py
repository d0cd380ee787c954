"""The soak's own transactions, which survive the faults of PostgreSQL."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2

_RETRY_SECONDS = 120
_PAUSE_SECONDS = 0.2


class RetryingDatabase:
    """Retries a transaction until PostgreSQL acknowledges it, so transactions must be idempotent."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(
        self,
        statement: str,
        parameters: Any = None,  # noqa: ANN401 (psycopg2's)
        *,
        on_deadlock: Callable[[], None] = lambda: None,
    ) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction, and again while PostgreSQL does not answer. Return its rows, if it has any.

        Raises PostgreSQL's error after two minutes. `on_deadlock` is called each time that the transaction is a
        deadlock's victim, before it is retried.
        """
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            try:
                with (
                    closing(psycopg2.connect(self._url, connect_timeout=10)) as connection,
                    connection,
                    connection.cursor() as cursor,
                ):
                    cursor.execute(statement, parameters)
                    return list(cursor.fetchall()) if cursor.description else []
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                if isinstance(error, psycopg2.errors.DeadlockDetected):
                    on_deadlock()
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
