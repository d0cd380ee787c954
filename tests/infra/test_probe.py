"""What rings when nothing arrives: a function that asks from outside, and counts what it wants to see."""

import json
import runpy
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.synthesized import Synthesized

type Serve = Callable[[int], str]
type Probe = Callable[[str], dict[str, Any]]

LONGEST_INLINE = 4096  # characters of code that a template may hold


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that answers everything with one status; gives its address."""
    servers = []

    def start(status: int) -> str:
        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Answering)
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Probe]:
    """Run the function against an address; gives the line that it writes."""
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "EVENT_BUS": "events", "METRICS_NAMESPACE": "AfterHours", "METRICS_SERVICE": "AfterHours-prod",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    def run(url: str) -> dict[str, Any]:
        monkeypatch.setenv("PROBED_URL", url)
        runpy.run_path("infra/probe/index.py")["handler"]({}, None)
        written: dict[str, Any] = json.loads(capsys.readouterr().out)
        return written

    with mock_aws():
        boto3.client("events").create_event_bus(Name="events")
        yield run


@pytest.mark.parametrize(("status", "heartbeats"), [(401, 1), (200, 0), (403, 0), (503, 0)])
def test_a_401_is_a_heartbeat_and_nothing_else_is(probe: Probe, serve: Serve, status: int, heartbeats: int) -> None:
    written = probe(serve(status))
    assert (written["Heartbeats"], written["EventBusMissing"], written["answer"]) == (heartbeats, 0, status)
    [metrics] = written["_aws"]["CloudWatchMetrics"]
    assert metrics["Namespace"] == "AfterHours"
    assert written["service"] == "AfterHours-prod"


def test_no_answer_is_no_heartbeat(probe: Probe) -> None:
    written = probe("http://127.0.0.1:1/")
    assert written["Heartbeats"] == 0
    assert "refused" in written["answer"]


def test_a_bus_that_is_gone_is_told_although_it_takes_events(probe: Probe, serve: Serve) -> None:
    boto3.client("events").delete_event_bus(Name="events")
    assert probe(serve(401))["EventBusMissing"] == 1


def test_its_code_fits_into_a_template(aws: Synthesized) -> None:
    codes = [each["Properties"]["Code"] for each in aws.resources("AWS::Lambda::Function").values()]
    [inline] = [code["ZipFile"] for code in codes if "ZipFile" in code]
    assert inline == Path("infra/probe/index.py").read_text()
    assert len(inline) <= LONGEST_INLINE
