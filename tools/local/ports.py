"""The loopback ports of a system: fixed ones, so that a saved address keeps working, or whichever are free."""

import random
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import psutil

from tools.local.workspace import CommandError

DEFAULT = 4566
_HIGHEST_FIRST = 65533
_LOWEST_FIRST = 1024  # those below it belong to root
# Linux gives those from 32768 on to connections by itself, macOS those from 49152 on.
_NOT_GIVEN_BY_SYSTEMS = range(10_000, 32_000)


@dataclass(frozen=True)
class Ports:
    """One port each for the API (the whole local AWS), for PostgreSQL and for the page."""

    api: int
    postgres: int
    page: int

    @classmethod
    def from_first(cls, chosen: int | str) -> Self:
        """Return the port chosen with `PORT=` and the two after it. Raises CommandError for impossible ports."""
        first = int(chosen) if str(chosen).isdecimal() else 0
        if not _LOWEST_FIRST <= first <= _HIGHEST_FIRST:
            raise CommandError(f"PORT must be a number from {_LOWEST_FIRST} to {_HIGHEST_FIRST}; it is {chosen}.")
        return cls(first, first + 1, first + 2)

    @classmethod
    def free(cls) -> Self:
        """Return three in a row that are free, and most likely still are when servers have started."""
        while True:
            with suppress(CommandError):
                ports = cls.from_first(free_port())
                ports.require_free()
                return ports

    def require_free(self) -> None:
        """Raise CommandError when a port is taken, naming the process that has it."""
        for purpose, port in vars(self).items():
            if _is_taken(port):
                raise CommandError(
                    f"Port {port} (for {_PURPOSES[purpose]}) is taken{_by_whom(port)}."
                    " Choose three others in a row: make run PORT=4600"
                )


_PURPOSES = {"api": "the API", "postgres": "PostgreSQL", "page": "the page"}


def free_port() -> int:
    """Return a port that is still free, most likely, when a server that takes seconds to start binds it."""
    while _is_taken(port := random.choice(_NOT_GIVEN_BY_SYSTEMS)):  # noqa: S311 (no secret)
        pass
    return port


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # Servers set this as well: connections of an earlier run in TIME_WAIT do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:  # macOS shows other users' connections to root only
        pass
    return ""
