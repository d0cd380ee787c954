"""How services fail by the soak's proxy, and a clock that is wrong."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tools.soak.clock import wrong_clock
from tools.soak.proxy import Ailment, Proxy, Service, service_of

SCHEDULER = "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/scheduler/aws4_request, SignedHeaders=host"
S3 = SCHEDULER.replace("scheduler", "s3")


class Upstream(BaseHTTPRequestHandler):
    """Answers with the body that came, and counts."""

    protocol_version = "HTTP/1.1"
    calls = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).calls += 1
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def killed() -> list[int]:
    """The ports of the callers that the proxy killed."""
    return []


@pytest.fixture
def proxy(killed: list[int]) -> Iterator[Proxy]:
    """A proxy in front of `Upstream`."""
    Upstream.calls = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        Thread(target=upstream.serve_forever, daemon=True).start()
        with Proxy(f"http://127.0.0.1:{upstream.server_port}", "photos", kill=killed.append) as proxy:
            yield proxy
        upstream.shutdown()


def call(
    proxy: Proxy, authorization: str = S3, body: bytes = b"hello", target: str = "", path: str = "/"
) -> tuple[int, bytes] | None:
    """Return the status and the content, None when no answer comes."""
    connection = HTTPConnection(proxy.url.removeprefix("http://"), timeout=20)
    try:
        connection.request("POST", path, body, {"authorization": authorization, "x-amz-target": target})
        response = connection.getresponse()
        return response.status, response.read()
    except (HTTPException, OSError):
        return None
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "target", "authorization", "service"),
    [
        ("/", "secretsmanager.GetSecretValue", "…/secretsmanager/aws4_request", Service.SECRETS),
        ("/", "AWSEvents.PutEvents", "…/events/aws4_request", Service.BUS),
        ("/schedules/x", "", SCHEDULER, Service.SCHEDULER),
        ("/uploads/x", "", S3, Service.S3),
        ("/photos/x.jpg", "", S3, Service.R2),
        ("/uploads", "", "", Service.S3),  # a phone's form
        ("/", "", "…/us-east-1/lambda/aws4_request", None),
    ],
)
def test_the_proxy_knows_which_service_is_called(
    path: str, target: str, authorization: str, service: Service | None
) -> None:
    assert service_of(path, target, authorization, r2_bucket="photos") is service


@pytest.mark.parametrize(
    ("ailment", "answer", "work_done", "kills"),
    [
        (Ailment.UNREACHABLE, None, 0, 0),
        (Ailment.FAILING, (503, b""), 0, 0),
        (Ailment.SLOW, (200, b"hello"), 1, 0),
        (Ailment.ANSWERS_LOST, None, 1, 0),
        (Ailment.CALLERS_KILLED, None, 1, 1),
    ],
)
def test_a_service_ails_while_the_others_are_well(
    proxy: Proxy, killed: list[int], ailment: Ailment, answer: tuple[int, bytes] | None, work_done: int, kills: int
) -> None:
    with proxy.ailing(Service.SCHEDULER, ailment), proxy.ailing(Service.R2, Ailment.FAILING):
        assert call(proxy, SCHEDULER) == answer
        assert (Upstream.calls, len(killed)) == (work_done, kills)
        assert call(proxy) == (200, b"hello")
        assert call(proxy, path="/photos/x.jpg") == (503, b"")
        if ailment is Ailment.CALLERS_KILLED:  # the second and the third of three are spared
            assert [call(proxy, SCHEDULER) for _ in range(2)] == [(200, b"hello")] * 2
    assert call(proxy, SCHEDULER) == (200, b"hello")


def test_the_proxy_sees_which_events_are_sent(proxy: Proxy) -> None:
    entries = [{"Detail": json.dumps({"eventId": id_})} for id_ in ("a", "b")]
    call(proxy, "", json.dumps({"Entries": entries}).encode(), "AWSEvents.PutEvents")
    assert [event["event_id"] for event in proxy.sent] == ["a", "b"]


def test_a_program_in_the_environment_of_a_wrong_clock_has_its_time(tmp_path: Path) -> None:
    assert wrong_clock(tmp_path, 0) == {}
    program = "import datetime, time; print(time.time(), datetime.datetime.now(datetime.UTC).timestamp())"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=wrong_clock(tmp_path, -300), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for clock in done.stdout.split():
        assert abs(float(clock) - time.time() + 300) < 60
