"""A proxy in front of the local AWS: it sees which service a function calls, and can make that service fail."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

_FORWARD_SECONDS = 60
_SILENCE_SECONDS = 8  # longer than any client of the functions waits
_SLOW_SECONDS = 0.8  # shorter than any of them waits
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


class Sighting(NamedTuple):
    """A domain event on its way to the bus. `at` is in seconds since 1970."""

    event_id: str
    at: float


def service_of(target: str, authorization: str) -> Service | None:
    """Tell the service from a request's `X-Amz-Target` and the scope that its signature names."""
    if target.startswith("secretsmanager."):
        return Service.SECRETS
    if target.startswith("AWSEvents."):
        return Service.BUS
    if "/scheduler/aws4_request" in authorization:
        return Service.SCHEDULER
    # A phone's form is not signed in a header.
    return Service.S3 if "/s3/aws4_request" in authorization or not authorization else None


class Proxy:
    """Two ports in front of one local AWS, of which one stands for R2. `kill` is called with a caller's own port."""

    def __init__(self, aws_url: str, *, kill: Callable[[int], bool], now: Callable[[], float] = time.time) -> None:
        upstream = urlsplit(aws_url)
        self.upstream = (str(upstream.hostname), int(upstream.port or 80))
        self.kill = kill
        self.sightings: list[Sighting] = []
        self.now = now
        self._ailments: dict[Service, Ailment] = {}
        self._callers = count()
        self._servers = [_Port(self, None), _Port(self, Service.R2)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def r2_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def __enter__(self) -> Self:
        for server in self._servers:
            Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @contextmanager
    def ailing(self, service: Service, ailment: Ailment) -> Iterator[None]:
        self._ailments[service] = ailment
        try:
            yield
        finally:
            self._ailments.pop(service, None)

    def ailment(self, service: Service | None) -> Ailment | None:
        """Return how this call is to fail, None when it is not."""
        ailment = self._ailments.get(service) if service else None
        if ailment is Ailment.CALLERS_KILLED and next(self._callers) % _EVERY:
            return None
        return ailment

    def see(self, service: Service | None, body: bytes) -> None:
        """Note which domain events are sent."""
        if service is not Service.BUS:
            return
        details = [json.loads(entry["Detail"]) for entry in json.loads(body).get("Entries", [])]
        self.sightings += [Sighting(detail["eventId"], self.now()) for detail in details if "eventId" in detail]


class _Handler(BaseHTTPRequestHandler):
    """Forwards one call, or makes it fail."""

    protocol_version = "HTTP/1.1"
    timeout = 120
    server: "_Port"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        proxy = self.server.proxy
        service = self.server.service or service_of(
            self.headers.get("x-amz-target") or "", self.headers.get("authorization") or ""
        )
        proxy.see(service, body)
        ailment = proxy.ailment(service)
        time.sleep({Ailment.SLOW: _SLOW_SECONDS, Ailment.SILENT: _SILENCE_SECONDS}.get(ailment, 0) if ailment else 0)
        if ailment is Ailment.FAILING:
            self._answer(503, [], b"")
        elif ailment in {Ailment.UNREACHABLE, Ailment.SILENT} or not (answer := self._forwarded(body)):
            self.close_connection = True
        elif ailment in {Ailment.CALLERS_KILLED, Ailment.ANSWERS_LOST}:
            if ailment is Ailment.CALLERS_KILLED:
                proxy.kill(self.client_address[1])
            self.close_connection = True
        else:
            self._answer(*answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815 (http.server's names)

    def _forwarded(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Return the status, headers and content of the local AWS's answer, None without one."""
        connection = HTTPConnection(*self.server.proxy.upstream, timeout=_FORWARD_SECONDS)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        try:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
        except OSError:  # the caller has given up, or was killed
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Leave out http.server's line for every call."""


class _Port(ThreadingHTTPServer):
    """A port of the proxy. With a `service`, all calls to the port are for that service."""

    daemon_threads = True

    def __init__(self, proxy: Proxy, service: Service | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self.service = service

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (its base class's)
        if not isinstance(sys.exception(), ConnectionError):  # a function that was killed leaves its connections
            super().handle_error(request, client_address)
