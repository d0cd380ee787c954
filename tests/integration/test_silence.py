"""A member has an answer in time, however all services outside fail, and nothing is lost."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from after_hours.foundation import clients, secrets
from after_hours.outbox import schedules

from tests.support.phone import Phone
from tests.support.world import World

WAITING = "SELECT count(*) FROM after_hours_outbox WHERE kind = %s"
LIMIT_SECONDS = 20  # the function may run for 25
HOST = "outside.test"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("profile", "limits_of_service")]


class Outside(ThreadingHTTPServer):
    """A server in place of every service: it is silent, or it throttles each call and wants a minute's pause."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *, throttles: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.throttles = throttles
        self.over = Event()
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    server: Outside
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.server.requests += 1
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if not self.server.throttles:
            self.server.over.wait()
            self.close_connection = True
            return
        self.send_response(429)
        for name, value in {
            "x-amzn-errortype": "ThrottlingException", "x-amz-retry-after": "60000", "content-length": "0",
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 (the base class's names)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def answering(*, throttles: bool) -> Iterator[int]:
    server = Outside(throttles=throttles)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
        assert server.requests
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def unreachable() -> Iterator[int]:
    """A port whose queue is full: it takes no connection, and refuses none."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@contextmanager
def outside(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every service but the database fail, each at a name with two addresses."""
    resolve = socket.getaddrinfo

    def two_addresses(host: Any, *arguments: Any, **options: Any) -> Any:
        found = resolve("127.0.0.1" if host == HOST else host, *arguments, **options)
        return found * 2 if host == HOST else found

    with (
        unreachable() if kind == "unreachable" else answering(throttles=kind == "throttling") as port,
        monkeypatch.context() as patch,
    ):
        url = f"http://{HOST}:{port}"
        patch.setattr(socket, "getaddrinfo", two_addresses)
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setattr(secrets.r2_secret, "_value", secrets.r2_secret.read().model_copy(update={"endpoint_url": url}))
        for secret in (secrets.jwt_secret, secrets.location_secret, secrets.r2_secret):
            secret.read()
            patch.setattr(secret, "_read_again_at", 0.0)  # the deployed functions read them five minutes ago
        clients.start_anew()
        yield
    clients.start_anew()


def seconds_of(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


@pytest.mark.parametrize("kind", ["unreachable", "silent", "throttling"])
def test_leaving_is_answered_in_time(phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """It calls the most: two secrets, the scheduler, the bus and both stores."""
    world.arrive(phone.send())
    phone.start()
    with outside(kind, monkeypatch):
        assert seconds_of(phone.leave) < LIMIT_SECONDS
    assert world.rows("SELECT count(*) FROM after_hours_sessions WHERE ended_at IS NULL") == [(0,)]
    assert world.counts("after_hours_profiles") == [0]
    assert world.rows(WAITING, "r2")[0][0] >= 2
    assert world.rows(WAITING, "event")[0][0] >= 1


def test_starting_is_answered_in_time_and_the_next_member_does_not_wait(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with outside("silent", monkeypatch):
        assert seconds_of(phone.start) < LIMIT_SECONDS
        assert schedules.breaker.is_open
        assert seconds_of(phone.end) < 5  # the bus alone is asked
    assert world.rows("SELECT count(*) FROM after_hours_sessions WHERE ended_at IS NULL") == [(0,)]
    assert world.rows(WAITING, "event") == [(2,)]
