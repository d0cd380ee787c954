"""The soak's own logic: how services fail by its proxy, and how it compares answers and events with changes."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tools.soak.checks import counted, named, sent_too_soon_again, sentences
from tools.soak.clock import wrong_clock
from tools.soak.journal import Asked, Journal, Outcome
from tools.soak.proxy import Ailment, Proxy, Service, Sighting, service_of

SCHEDULER = "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/scheduler/aws4_request, SignedHeaders=host"
S3 = SCHEDULER.replace("scheduler", "s3")
LEASE = timedelta(seconds=25)


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


@contextmanager
def proxied() -> Iterator[tuple[Proxy, list[int]]]:
    """Yield a proxy in front of `Upstream`, and the ports of the callers that it kills."""
    Upstream.calls = 0
    killed: list[int] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        Thread(target=upstream.serve_forever, daemon=True).start()

        def kill(port: int) -> bool:
            killed.append(port)
            return True

        with Proxy(f"http://127.0.0.1:{upstream.server_port}", kill=kill) as proxy:
            yield proxy, killed
        upstream.shutdown()


def call(url: str, body: bytes = b"hello", **headers: str) -> tuple[int, bytes] | None:
    """Return the status and the content, None when no answer comes."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        connection.request("POST", "/", body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    except (HTTPException, OSError):
        return None
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("target", "authorization", "service"),
    [
        ("secretsmanager.GetSecretValue", "…/secretsmanager/aws4_request", Service.SECRETS),
        ("AWSEvents.PutEvents", "…/events/aws4_request", Service.BUS),
        ("", SCHEDULER, Service.SCHEDULER),
        ("", "…/us-east-1/s3/aws4_request", Service.S3),
        ("", "", Service.S3),  # a phone's form
        ("", "…/us-east-1/lambda/aws4_request", None),
    ],
)
def test_the_proxy_knows_which_service_is_called(target: str, authorization: str, service: Service | None) -> None:
    assert service_of(target, authorization) is service


@pytest.mark.parametrize(
    ("ailment", "answer", "work_done", "killed"),
    [
        (Ailment.UNREACHABLE, None, 0, 0),
        (Ailment.FAILING, (503, b""), 0, 0),
        (Ailment.SLOW, (200, b"hello"), 1, 0),
        (Ailment.ANSWERS_LOST, None, 1, 0),
        (Ailment.CALLERS_KILLED, None, 1, 1),
    ],
)
def test_a_service_ails_while_the_others_are_well(
    ailment: Ailment, answer: tuple[int, bytes] | None, work_done: int, killed: int
) -> None:
    with proxied() as (proxy, callers):
        with proxy.ailing(Service.SCHEDULER, ailment), proxy.ailing(Service.R2, Ailment.FAILING):
            assert call(proxy.url, authorization=SCHEDULER) == answer
            assert (Upstream.calls, len(callers)) == (work_done, killed)
            assert call(proxy.url, authorization=S3) == (200, b"hello")
            assert call(proxy.r2_url, authorization=S3) == (503, b"")
            if ailment is Ailment.CALLERS_KILLED:  # the second and the third of three are spared
                assert [call(proxy.url, authorization=SCHEDULER) for _ in range(2)] == [(200, b"hello")] * 2
        assert call(proxy.url, authorization=SCHEDULER) == (200, b"hello")


def test_the_proxy_sees_which_events_are_sent() -> None:
    entries = [{"Detail": json.dumps({"eventId": id_})} for id_ in ("a", "b")]
    with proxied() as (proxy, _):
        call(proxy.url, json.dumps({"Entries": entries}).encode(), x_amz_target="AWSEvents.PutEvents")
    assert [sighting.event_id for sighting in proxy.sightings] == ["a", "b"]


@pytest.mark.parametrize(
    ("times", "leaps", "again"),
    [
        ((100, 124), [], True),
        ((100, 126), [], False),
        ((100, 101), [99], False),  # a leap between the claim and the sending ends the lease
        ((100, 101), [70, 102], True),
    ],
)
def test_an_event_may_not_be_sent_twice_within_a_lease(times: list[float], leaps: list[float], again: bool) -> None:
    sightings = [Sighting("other", 100), *(Sighting("a", at) for at in times)]
    assert sent_too_soon_again(sightings, LEASE, leaps) == ({"a"} if again else set())


def test_a_change_answered_2xx_is_there_and_one_answered_4xx_is_not() -> None:
    journal = Journal(
        [
            Asked("started", "m", "kept", Outcome.DONE),
            Asked("started", "m", "lost", Outcome.DONE),
            Asked("described", "m", "refused", Outcome.REFUSED),
            Asked("described", "m", "perhaps", Outcome.UNKNOWN),
        ]
    )
    changed = [("started", "m", "kept", "1"), ("described", "m", "refused", "2"), ("described", "m", "perhaps", "3")]
    assert set(named(journal, changed)) == {
        "refused was refused, and is described all the same",
        "lost was started, and nothing of it is there",
    }


@pytest.mark.parametrize(("times", "right"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_change_happens_as_often_as_the_answers_say(times: int, right: bool) -> None:
    journal = Journal([Asked("extended", "m", None, outcome) for outcome in Outcome])
    changed = [("extended", "m", "session", str(transaction)) for transaction in range(times)]
    assert (counted(journal, changed) == []) is right


def test_leaving_deletes_profile_and_preferences_in_one_change() -> None:
    journal = Journal([Asked("left", "m", None, Outcome.DONE)])
    assert counted(journal, [("left", "m", "profile", "1"), ("left", "m", "preferences", "1")]) == []


def test_a_sentence_names_a_few_and_counts_the_rest() -> None:
    assert sentences({"is lost": map(str, range(6)), "is wrong": []}) == ["0, 1, 2, 3 and 2 more is lost"]


def test_a_program_in_the_environment_of_a_wrong_clock_has_its_time(tmp_path: Path) -> None:
    assert wrong_clock(tmp_path, 0) == {}
    program = "import datetime, time; print(time.time(), datetime.datetime.now(datetime.UTC).timestamp())"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=wrong_clock(tmp_path, -300), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for clock in done.stdout.split():
        assert abs(float(clock) - time.time() + 300) < 60
