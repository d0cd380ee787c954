"""The soak's own logic: what it makes fail, what it compares, and that it goes on where it was interrupted."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tools.local.schedules import moment
from tools.soak.checks import counted, named, sent_too_soon_again, sentence
from tools.soak.clock import wrong_clock
from tools.soak.journal import Journal, Outcome
from tools.soak.proxy import Ailment, Proxy, Service, Sighting, service_of
from tools.soak.results import Results, Round

SCHEDULER = "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/scheduler/aws4_request, SignedHeaders=host"
S3 = SCHEDULER.replace("scheduler", "s3")


class Upstream(BaseHTTPRequestHandler):
    """Says what it was told, and counts."""

    protocol_version = "HTTP/1.1"
    calls = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).calls += 1
        self.send_response(200)
        self.send_header("x-from", "upstream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def proxied(killed: list[int] | None = None) -> Iterator[Proxy]:
    Upstream.calls = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        Thread(target=upstream.serve_forever, daemon=True).start()

        def kill(port: int) -> bool:
            (killed if killed is not None else []).append(port)
            return True

        with Proxy(f"http://127.0.0.1:{upstream.server_port}", kill=kill) as proxy:
            yield proxy
        upstream.shutdown()


def call(url: str, body: bytes = b"hello", **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        connection.request("POST", "/", body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
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


def test_a_service_that_is_well_is_passed_on_while_another_ails() -> None:
    with proxied() as proxy, proxy.ailing(Service.SCHEDULER, Ailment.UNREACHABLE):
        assert call(proxy.url, x_amz_target="AWSEvents.PutEvents", body=b'{"Entries": []}') == (
            200,
            b'{"Entries": []}',
        )
        with pytest.raises((HTTPException, OSError)):
            call(proxy.url, authorization=SCHEDULER)
        assert Upstream.calls == 1
    assert proxy.calls == {(Service.SCHEDULER, Ailment.UNREACHABLE): 1}


def test_a_call_to_the_other_port_is_for_r2() -> None:
    with proxied() as proxy, proxy.ailing(Service.R2, Ailment.FAILING):
        assert call(proxy.r2_url, authorization=S3) == (503, b"")
        assert call(proxy.url, authorization=S3) == (200, b"hello")


def test_an_answer_can_be_lost_when_the_work_is_done() -> None:
    with proxied() as proxy, proxy.ailing(Service.SCHEDULER, Ailment.ANSWERS_LOST):
        with pytest.raises((HTTPException, OSError)):
            call(proxy.url, authorization=SCHEDULER)
        assert Upstream.calls == 1


def test_one_of_three_callers_is_killed_when_its_work_is_done() -> None:
    killed: list[int] = []
    with proxied(killed) as proxy, proxy.ailing(Service.SCHEDULER, Ailment.CALLERS_KILLED):
        with pytest.raises((HTTPException, OSError)):
            call(proxy.url, authorization=SCHEDULER)
        for _ in range(2):
            assert call(proxy.url, authorization=SCHEDULER) == (200, b"hello")
        assert Upstream.calls == 3
    assert len(killed) == 1


def test_the_proxy_sees_which_events_are_sent() -> None:
    entries = [{"Detail": json.dumps({"eventId": id_})} for id_ in ("a", "b")]
    with proxied() as proxy:
        call(proxy.url, json.dumps({"Entries": entries}).encode(), x_amz_target="AWSEvents.PutEvents")
    assert [sighting.event_id for sighting in proxy.sightings] == ["a", "b"]


def test_an_event_sent_twice_within_a_lease_is_found_and_one_sent_after_it_is_not() -> None:
    lease = timedelta(seconds=25)
    assert sent_too_soon_again([Sighting("a", 0), Sighting("b", 1), Sighting("a", 24)], lease, []) == {"a"}
    assert sent_too_soon_again([Sighting("a", 0), Sighting("a", 26)], lease, []) == set()


def test_an_event_sent_twice_about_a_leap_is_not_found() -> None:
    lease = timedelta(seconds=25)
    sightings = [Sighting("a", 100), Sighting("a", 101)]
    assert sent_too_soon_again(sightings, lease, [99]) == set()
    assert sent_too_soon_again(sightings, lease, [70, 102]) == {"a"}


def journal(*entries: tuple[str, str, str | None, Outcome]) -> Journal:
    written = Journal()
    for entry in entries:
        written.write(*entry)
    return written


def test_what_was_answered_2xx_must_be_there_and_what_was_answered_4xx_must_not() -> None:
    asked = journal(
        ("started", "m", "kept", Outcome.DONE),
        ("started", "m", "lost", Outcome.DONE),
        ("described", "m", "refused", Outcome.REFUSED),
        ("described", "m", "perhaps", Outcome.UNKNOWN),
    )
    changed = [("started", "m", "kept", "1"), ("described", "m", "refused", "2"), ("described", "m", "perhaps", "3")]
    assert set(named(asked, changed)) == {
        "refused was refused, and is described all the same",
        "lost was started, and nothing of it is there",
    }


@pytest.mark.parametrize(("times", "right"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_change_happens_as_often_as_the_answers_say(times: int, right: bool) -> None:
    asked = journal(
        ("extended", "m", None, Outcome.DONE),
        ("extended", "m", None, Outcome.UNKNOWN),
        ("extended", "m", None, Outcome.REFUSED),
    )
    changed = [("extended", "m", "session", str(transaction)) for transaction in range(times)]
    assert (counted(asked, changed) == []) is right


def test_one_who_leaves_loses_profile_and_preferences_at_once() -> None:
    asked = journal(("left", "m", None, Outcome.DONE))
    assert counted(asked, [("left", "m", None, "1"), ("left", "m", None, "1")]) == []


def test_a_sentence_names_a_few_and_counts_the_rest() -> None:
    assert sentence("is lost", ["b", "a"]) == "a, b is lost"
    assert sentence("is lost", map(str, range(6))) == "0, 1, 2, 3 and 2 more is lost"


def test_a_schedule_says_its_moment_in_utc() -> None:
    assert moment("at(2026-11-25T17:00:00)") == datetime(2026, 11, 25, 17, tzinfo=UTC)
    with pytest.raises(ValueError, match="rate"):
        moment("rate(1 minute)")


@pytest.mark.parametrize("seconds", [300, -300])
def test_a_wrong_clock_is_wrong_for_whatever_runs_in_its_environment(tmp_path: Path, seconds: int) -> None:
    program = "import datetime, time; print(time.time(), datetime.datetime.now(datetime.UTC).timestamp())"
    command = [sys.executable, "-c", program]
    environment = wrong_clock(tmp_path, seconds)
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stderr == ""
    for clock in said.stdout.split():
        assert abs(float(clock) - time.time() - seconds) < 60


def test_a_right_clock_needs_nothing(tmp_path: Path) -> None:
    assert wrong_clock(tmp_path, 0) == {}


def test_an_interrupted_soak_goes_on_and_a_finished_one_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = Results.load(path, 7, 10)
    first.rounds.append(Round(number=1, minutes=5, clock_off_seconds=0, violations=["x is lost"]))
    first.save(path)
    assert Results.load(path, None, 10) == first
    assert Results.load(path, 7, 10).left == 5
    assert Results.load(path, 8, 10).rounds == []
    assert Results.load(path, 7, 20).rounds == []
    assert first.violations == ["Round 1: x is lost"]
    first.rounds.append(Round(number=2, minutes=5, clock_off_seconds=300))
    first.save(path)
    assert Results.load(path, 7, 10).rounds == []
