"""The loopback ports of a system: three in a row, so that one number is enough to name them."""

import random
import socket
from typing import NamedTuple, Self

from tools.local.workspace import CommandError

DEFAULT = 4566
LOWEST_FIRST, HIGHEST_FIRST = 1024, 65533  # those below belong to root
# Linux gives those from 32768 on to connections by itself, macOS those from 49152 on.
_NOT_GIVEN_BY_SYSTEMS = range(10_000, 32_000)


class Ports(NamedTuple):
    """One port each for the API (the whole local AWS), for PostgreSQL and for the page."""

    api: int
    postgres: int
    page: int

    @classmethod
    def from_first(cls, first: int) -> Self:
        return cls(first, first + 1, first + 2)

    @classmethod
    def free(cls) -> Self:
        """Return three in a row that are free, and most likely still are when servers have started."""
        ports = cls.from_first(random.choice(_NOT_GIVEN_BY_SYSTEMS))  # noqa: S311 (no secret)
        return cls.free() if any(map(_is_taken, ports)) else ports

    def require_free(self) -> None:
        for port in filter(_is_taken, self):
            raise CommandError(f"Port {port} is taken. Choose three others in a row: make run PORT=4600")


def free_port() -> int:
    return Ports.free().api


def _is_taken(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()  # it reuses addresses: TIME_WAIT does not block the port
    except OSError:
        return True
    return False
