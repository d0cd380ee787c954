"""A proxy with a port for each service of the local AWS. It can make a service fail for the functions that call it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import Message
from enum import StrEnum
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any

from tools.local import calls

_EVERY = 3  # the first of so many callers is killed
_HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding", "content-length"}


class Service(StrEnum):
    SCHEDULER = "scheduler"
    BUS = "bus"
    S3 = "S3"
    R2 = "R2"
    SECRETS = "secrets"


class Ailment(StrEnum):
    """A way in which a service fails. With the last two it does its work, and no answer reaches the caller."""

    UNREACHABLE = "unreachable"
    SILENT = "silent"
    SLOW = "slow"
    FAILING = "failing"
    ANSWERS_LOST = "answers lost"
    CALLERS_KILLED = "callers killed"


# In seconds: the clients of the functions wait longer than the first, and shorter than the second.
_PAUSES: dict[Ailment | None, float] = {Ailment.SLOW: 0.8, Ailment.SILENT: 8}


class Proxy:
    """The ports, and which services are ailing. `kill` is called with a caller's own port."""

    def __init__(self, aws_url: str, kill: Callable[[int], object]) -> None:
        self.aws_url = aws_url
        self.kill = kill
        self.urls: dict[Service, str] = {}
        self._ailments: dict[Service, Ailment] = {}
        self._callers = count()

    @contextmanager
    def serving(self) -> Iterator[None]:
        servers = {
            service: ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self, service)) for service in Service
        }
        for service, server in servers.items():
            self.urls[service] = f"http://127.0.0.1:{server.server_port}"
            Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            for server in servers.values():
                server.shutdown()
                server.server_close()

    @contextmanager
    def ailing(self, service: Service, ailment: Ailment) -> Iterator[None]:
        self._ailments[service] = ailment
        try:
            yield
        finally:
            self._ailments.pop(service, None)

    def ailment(self, service: Service) -> Ailment | None:
        """Return how this call is to fail, None when it is not."""
        ailment = self._ailments.get(service)
        if ailment is Ailment.CALLERS_KILLED and next(self._callers) % _EVERY:
            return None
        return ailment


class _Handler(BaseHTTPRequestHandler):
    """Forwards one call, or makes it fail."""

    protocol_version = "HTTP/1.1"
    timeout = 120

    def __init__(self, proxy: Proxy, service: Service, *connection: Any) -> None:  # noqa: ANN401 (http.server's)
        self._proxy = proxy
        self._service = service
        super().__init__(*connection)

    def handle(self) -> None:
        with suppress(OSError):  # no answer from AWS, or none for the caller: the connection is closed
            super().handle()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        ailment = self._proxy.ailment(self._service)
        time.sleep(_PAUSES.get(ailment, 0))
        if ailment in {Ailment.UNREACHABLE, Ailment.SILENT}:
            raise ConnectionAbortedError
        if ailment is Ailment.FAILING:
            self._write(503, {}, b"")
            return
        url, headers = self._proxy.aws_url + self.path, _forwarded(self.headers)
        response = calls.request(self.command, url, headers=headers, body=body, redirect=False, decode_content=False)
        if ailment is Ailment.CALLERS_KILLED:
            self._proxy.kill(self.client_address[1])
        if ailment in {Ailment.CALLERS_KILLED, Ailment.ANSWERS_LOST}:
            raise ConnectionAbortedError
        self._write(response.status, _forwarded(response.headers), response.data)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 (http.server's names)

    def _write(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        connection = "close" if self.close_connection else "keep-alive"
        for name, value in {**headers, "connection": connection, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Leave out http.server's line for every call."""


def _forwarded(headers: Mapping[str, str] | Message) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
