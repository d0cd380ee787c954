"""A proxy in front of the local AWS: it sees which service a function calls, and can make that service fail."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import Message
from enum import StrEnum
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any, Self

from tools.local import calls

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


def service_of(path: str, target: str, authorization: str, *, r2_bucket: str) -> Service | None:
    """Tell the service from a request's path, its `X-Amz-Target`, and the scope that its signature names."""
    if target.startswith("secretsmanager."):
        return Service.SECRETS
    if target.startswith("AWSEvents."):
        return Service.BUS
    if "/scheduler/aws4_request" in authorization:
        return Service.SCHEDULER
    if path.startswith(f"/{r2_bucket}"):
        return Service.R2
    # A phone's form is not signed in a header.
    return Service.S3 if "/s3/aws4_request" in authorization or not authorization else None


class Proxy:
    """A port in front of a local AWS, of which one bucket stands for R2. `kill` is called with a caller's own port."""

    def __init__(
        self,
        aws_url: str,
        r2_bucket: str,
        *,
        kill: Callable[[int], object],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.aws_url = aws_url
        self.r2_bucket = r2_bucket
        self.kill = kill
        self.sent: list[dict[str, object]] = []  # domain events on their way to the bus, and when
        self._now = now
        self._ailments: dict[Service, Ailment] = {}
        self._callers = count()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

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

    def see(self, body: bytes) -> None:
        """Note which domain events are sent to the bus."""
        details = [json.loads(entry["Detail"]) for entry in json.loads(body).get("Entries", [])]
        self.sent += [{"event_id": detail["eventId"], "at": self._now()} for detail in details if "eventId" in detail]


class _Handler(BaseHTTPRequestHandler):
    """Forwards one call, or makes it fail."""

    protocol_version = "HTTP/1.1"
    timeout = 120

    def __init__(self, proxy: Proxy, *connection: Any) -> None:  # noqa: ANN401 (http.server's)
        self._proxy = proxy
        super().__init__(*connection)

    def handle(self) -> None:
        with suppress(ConnectionError):  # a function that was killed leaves its connections
            super().handle()

    def _pass_on(self) -> None:
        try:
            self._answer(self.rfile.read(int(self.headers.get("content-length") or 0)))
        except OSError:  # no answer from AWS, or none for the caller
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815 (http.server's names)

    def _answer(self, body: bytes) -> None:
        target, authorization = self.headers.get("x-amz-target", ""), self.headers.get("authorization", "")
        service = service_of(self.path, target, authorization, r2_bucket=self._proxy.r2_bucket)
        if service is Service.BUS:
            self._proxy.see(body)
        ailment = self._proxy.ailment(service)
        time.sleep({Ailment.SLOW: _SLOW_SECONDS, Ailment.SILENT: _SILENCE_SECONDS}.get(ailment, 0) if ailment else 0)
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

    def _write(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Leave out http.server's line for every call."""


def _forwarded(headers: Mapping[str, str] | Message) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
