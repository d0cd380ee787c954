"""Connections of HTTP that come to an end: to make one has a time for all of it, and so has each request.

The timeout of a socket begins anew with each address that is tried and with each byte that comes. A service that sends
a byte a second would be waited for until Lambda ends the function.
"""

import socket
import ssl
import time
from http.client import HTTPConnection, HTTPResponse
from io import BufferedReader, RawIOBase
from select import select
from typing import Any
from urllib.parse import urlsplit

_IDLE_SECONDS = 60  # networks forget connections that are idle, and tell nobody; the quickest take minutes


class Connection(HTTPConnection):
    """A connection for one request after another, each with a deadline. Its methods raise OSError and HTTPException."""

    auto_open = 0  # by itself, it would connect again without TLS

    def __init__(self, url: str, *, seconds: float, tls: ssl.SSLContext | None) -> None:
        """Connect to where an address is, within so many seconds."""
        address = urlsplit(url)
        super().__init__(address.hostname or "", address.port or (443 if tls else 80))
        self.sock = _connected(self.host, self.port, time.monotonic() + seconds, tls)
        self._deadline = 0.0
        self._used_at = 0.0

    def ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str], *, seconds: float
    ) -> tuple[HTTPResponse, bytes]:
        """Send a request, and return the answer and what is in it, within so many seconds; else close."""
        self._deadline = time.monotonic() + seconds
        self.sock.settimeout(seconds)
        try:
            self.request(method, path, body, headers)
            response = self.getresponse()
            content = response.read()
        except BaseException:
            self.close()
            raise
        # By the clock on the wall, since the other may stand still while Lambda freezes a function.
        self._used_at = time.time()
        return response, content

    def is_usable(self) -> bool:
        """Tell whether it may be used again: most likely, neither the service nor a network has ended it."""
        if self.sock is None or time.time() - self._used_at > _IDLE_SECONDS:
            return False
        return not any(select([self.sock], [], [], 0))  # who is idle has nothing to say

    def response_class(self, connected: Any, **options: Any) -> HTTPResponse:  # type: ignore[override]  # noqa: ANN401 (its base class's)
        return HTTPResponse(_Timed(connected, self._deadline), **options)  # type: ignore[arg-type]


class _Timed(RawIOBase):
    """What comes from a socket, until a deadline."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket, self._deadline = connected, deadline
        self._file = connected.makefile("rb", buffering=0)  # keeps the socket open until all is read

    def makefile(self, _mode: str) -> BufferedReader:
        return BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 (its base class's)
        self._socket.settimeout(_left(self._deadline))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _connected(host: str, port: int, deadline: float, tls: ssl.SSLContext | None) -> socket.socket:
    """Try each address of a host (one a zone, and one of each kind of IP) in its part of the time that is left."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    fault: OSError = TimeoutError()
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        part = (deadline - time.monotonic()) / (len(addresses) - position)
        try:
            connected = _opened(family, kind, protocol, address, time.monotonic() + part)
        except OSError as error:
            fault = error
            continue
        return _encrypted(connected, host, deadline, tls) if tls else connected
    raise fault


def _opened(family: int, kind: int, protocol: int, address: Any, deadline: float) -> socket.socket:  # noqa: ANN401 (socket's)
    opened = socket.socket(family, kind, protocol)
    try:
        opened.settimeout(_left(deadline))
        opened.connect(address)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        opened.close()
        raise
    return opened


def _encrypted(connected: socket.socket, host: str, deadline: float, tls: ssl.SSLContext) -> socket.socket:
    try:
        connected.settimeout(_left(deadline))  # for the whole handshake
        return tls.wrap_socket(connected, server_hostname=host)
    except BaseException:
        connected.close()
        raise


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
