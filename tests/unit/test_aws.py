"""A service of AWS is asked over connections that are kept, and its faults are told apart."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from after_hours import aws, domain_events
from after_hours.errors import Misconfigured, SchedulerUnavailable, SecretRefused, SecretsUnavailable

from tests.support.certificates import Authority
from tests.support.environment import UNREACHABLE

type Answer = tuple[int, dict[str, str], str]  # status, headers, body

OK: Answer = (200, {}, '{"SecretString": "text"}')


class Server(ThreadingHTTPServer):
    """Answers what it is told to, one after the other and the last for ever, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = [OK]
        self.requests: list[tuple[str, str, bytes]] = []
        self.connections = 0
        self.keeps = True
        self.silent = threading.Event()
        self.breaks: list[bool] = []  # for the next requests: whether the connection ends in place of an answer
        self.drip_seconds = 0.0

    def next_answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append((self.command, self.path, body))
        if self.server.silent.is_set():
            time.sleep(2)
            self.close_connection = True
            return
        if self.server.breaks and self.server.breaks.pop(0):
            self.close_connection = True
            return
        status, headers, text = self.server.next_answer()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        parts = [bytes([byte]) for byte in text.encode()] if self.server.drip_seconds else [text.encode()]
        with suppress(OSError):  # whoever asks may have given up
            for part in parts:
                time.sleep(self.server.drip_seconds)
                self.wfile.write(part)
        self.close_connection = not self.server.keeps  # without saying so, as who closes an idle connection later

    do_POST = _answer  # noqa: N815 (its base class's word)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def running(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with running(Server()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        yield server


def service(attempts: int = 1, timeout_seconds: float = 5) -> aws.Service:
    return aws.Service("scheduler", "SCHEDULER", timeout_seconds, attempts, SchedulerUnavailable)


def ask(attempts: int = 1, timeout_seconds: float = 5) -> aws.Answer:
    return service(attempts, timeout_seconds).ask("POST", "/schedules/a", {"b": 1}, region="eu-west-1")


def read_secret() -> str:
    return aws.secret("arn", region="eu-west-1")


def test_a_service_may_be_somewhere_below_an_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}/below/")
    ask()
    assert server.requests == [("POST", "/below/schedules/a", b'{"b": 1}')]


def test_two_secrets_take_one_connection(server: Server) -> None:
    assert [read_secret(), read_secret()] == ["text", "text"]
    assert server.connections == 1
    assert server.requests == [("POST", "/", b'{"SecretId": "arn"}')] * 2


def test_a_connection_that_the_service_closed_is_replaced_unnoticed(server: Server) -> None:
    server.keeps = False
    ask()
    [kept] = aws._kept[service(), f"http://127.0.0.1:{server.server_port}"]
    assert kept.sock.recv(1) == b""  # waits until it is closed
    ask()
    assert len(server.requests) == server.connections == 2


def test_an_answer_after_which_the_service_closes_is_read_to_its_end(server: Server) -> None:
    server.answers = [(200, {"connection": "close"}, json.dumps({"a": "b" * 100_000}))]
    server.keeps = False
    assert [len(ask().content["a"]) for _ in range(2)] == [100_000] * 2
    assert server.connections == 2


def test_a_connection_that_breaks_when_it_is_used_again_is_replaced_unnoticed(server: Server) -> None:
    """The service may close it at the very moment at which it is asked, or while Lambda froze the function."""
    server.breaks = [False, True, False]
    ask()
    assert ask().status == 200
    assert (len(server.requests), server.connections) == (3, 2)


def test_what_may_have_been_told_is_not_told_again_at_once(server: Server) -> None:
    bus = replace(service(), idempotent=False)
    server.breaks = [False, True]
    bus.ask("POST", "/", {}, region="eu-west-1")
    with pytest.raises(SchedulerUnavailable, match="RemoteDisconnected"):
        bus.ask("POST", "/", {}, region="eu-west-1")
    assert len(server.requests) == 2
    assert not domain_events._BUS.idempotent


def test_a_new_connection_that_breaks_is_a_fault(server: Server) -> None:
    server.breaks = [True]
    with pytest.raises(SchedulerUnavailable, match="RemoteDisconnected"):
        ask()
    assert len(server.requests) == 1


def test_a_connection_that_networks_may_have_forgotten_is_not_used_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    now = time.time()
    monkeypatch.setattr("after_hours.aws.time.time", lambda: now + 61)
    ask()
    assert server.connections == 2


def test_two_threads_may_want_the_last_connection_that_was_kept(server: Server) -> None:
    class Contended(list[Any]):
        """A list whose last item another thread takes as soon as this one has looked whether there is one."""

        def __len__(self) -> int:
            length = super().__len__()
            self.clear()
            return length

    ask()
    key = service(), f"http://127.0.0.1:{server.server_port}"
    aws._kept[key] = Contended(aws._kept[key])
    assert ask().status == 200


def test_calls_at_the_same_time_take_a_connection_each(server: Server) -> None:
    outcomes = aws.in_parallel(lambda _: ask(), range(40), deadline=time.monotonic() + 60)
    assert [answer.status for _, answer in outcomes if isinstance(answer, aws.Answer)] == [200] * 40
    assert 1 <= server.connections <= 8


@pytest.mark.parametrize(
    "fault",
    [
        (500, {}, ""),
        (503, {}, "no JSON"),
        (400, {"x-amzn-errortype": "ThrottlingException:http://x"}, "{}"),
        (429, {}, "no JSON"),
        (302, {"location": "http://127.0.0.1:9/"}, "{}"),
        *((200, {}, text) for text in ("no JSON", "[]", "null", '"text"', "[" * 200_000)),
    ],
)
def test_what_passes_is_tried_again_as_often_as_the_service_says(server: Server, fault: Any) -> None:
    server.answers = [fault, OK]
    assert ask(attempts=2).status == 200
    server.answers = [fault, OK]
    with pytest.raises(SchedulerUnavailable, match=str(fault[0]) if fault[0] >= 400 else "NoAnswer"):
        ask(attempts=1)


@pytest.mark.parametrize(
    "fault",
    [
        (400, {"x-amzn-errortype": "ValidationException:http://x"}, "{}"),
        (400, {}, '{"__type": "com.amazon#ValidationException"}'),
        (400, {"x-amzn-errortype": "ValidationException"}, "[]"),
    ],
)
def test_what_is_refused_is_asked_once_and_named(server: Server, fault: Any) -> None:
    server.answers = [fault]
    assert ask(attempts=2)[::2] == (400, "ValidationException")
    assert len(server.requests) == 1


def test_a_service_that_says_nothing_is_given_up(server: Server) -> None:
    server.silent.set()
    with pytest.raises(SchedulerUnavailable, match="TimeoutError"):
        ask(timeout_seconds=0.2)
    assert aws._kept[service(timeout_seconds=0.2), f"http://127.0.0.1:{server.server_port}"] == []


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for_longer_than_one_that_does_not_come(server: Server) -> None:
    server.drip_seconds = 0.05
    server.answers = [(200, {}, json.dumps({"a": "b" * 100}))]
    began = time.monotonic()
    with pytest.raises(SchedulerUnavailable, match="TimeoutError"):
        ask(timeout_seconds=0.3)
    assert time.monotonic() - began < 2


def test_a_handshake_that_does_not_end_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that speaks, but no TLS to its end: its first bytes are those of a long record."""
    monkeypatch.setattr(aws, "_tls", ssl.create_default_context)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{silent.getsockname()[1]}")

        def drip() -> None:
            connection, _ = silent.accept()
            with suppress(OSError), connection:
                for byte in b"\x16\x03\x03\x40\x00" + bytes(100):
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)

        dripping = threading.Thread(target=drip)
        dripping.start()
        began = time.monotonic()
        with pytest.raises(SchedulerUnavailable, match="TimeoutError"):
            ask(timeout_seconds=0.3)
        assert time.monotonic() - began < 2
        dripping.join()


def test_all_addresses_of_a_service_are_tried_in_the_time_of_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name has an address a zone, and one of each kind of IP: none may use up the time of those that follow."""
    there = socket.getaddrinfo("127.0.0.1", server.server_port, type=socket.SOCK_STREAM)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        nowhere = socket.getaddrinfo("127.0.0.1", full.getsockname()[1], type=socket.SOCK_STREAM)
        with socket.create_connection(full.getsockname()):  # its queue is full: it takes no other
            unsupported = (999, *there[0][1:])  # as IPv6 where there is none
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [unsupported, *nowhere * 3, *there])
            assert ask(timeout_seconds=1.2).status == 200
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: nowhere * 8)
            began = time.monotonic()
            with pytest.raises(SchedulerUnavailable, match="TimeoutError"):
                ask(timeout_seconds=0.4)
            assert time.monotonic() - began < 2


def test_a_service_that_is_not_there_is_unavailable(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SCHEDULER", UNREACHABLE)
    with pytest.raises(SchedulerUnavailable, match="ConnectionRefusedError"):
        ask(attempts=2)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ((400, {}, json.dumps({"__type": "AccessDeniedException"})), SecretRefused),
        ((400, {}, json.dumps({"__type": "ThrottlingException"})), SecretsUnavailable),
        ((500, {}, json.dumps({"__type": "InternalServiceError"})), SecretsUnavailable),
        ((200, {}, json.dumps({"SecretBinary": "AA=="})), Misconfigured),
        ((200, {}, "no JSON"), SecretsUnavailable),
        ((429, {}, ""), SecretsUnavailable),
    ],
)
def test_why_a_secret_is_not_given_is_told_apart(server: Server, answer: Any, fault: type[Exception]) -> None:
    server.answers = [answer]
    with pytest.raises(fault) as caught:
        read_secret()
    assert type(caught.value) is fault


def test_nobody_is_asked_whose_certificate_is_not_by_amazon_s_authorities(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority("Those who run localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certify("localhost", tmp_path))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.server_port}")
    for name, trusted in {"theirs": authority, "other": Authority("Those who do not")}.items():
        aws._tls.cache_clear()
        monkeypatch.setattr(aws, "_AMAZON", tmp_path / name)
        (tmp_path / name).write_text(trusted.pem)
        if trusted is authority:
            server.answers = [OK, (200, {"connection": "close"}, json.dumps({"a": "b" * 100_000}))]
            assert [ask().status for _ in range(3)] == [200] * 3
            assert server.connections == 2
            aws._kept.clear()
        else:
            with pytest.raises(SchedulerUnavailable, match="SSLCertVerificationError"):
                ask()
    aws._tls.cache_clear()
    assert len(server.requests) == 3
