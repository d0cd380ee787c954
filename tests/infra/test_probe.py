"""What rings when nothing arrives: a function that asks from outside, and counts what it wants to see."""

import io
import json
import runpy
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError, URLError

import boto3
import pytest
from moto import mock_aws

from tests.support.synthesized import Synthesized

SETTINGS = {
    "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
    "PROBED_URL": "https://api.example.com/", "EVENT_BUS": "events",
    "METRICS_NAMESPACE": "AfterHours", "METRICS_SERVICE": "AfterHours-prod",
}  # fmt: skip
LONGEST_INLINE = 4096  # characters of code that a template may hold


class Success(io.BytesIO):
    status = 200


@pytest.mark.parametrize(
    ("answer", "bus", "counted"),
    [
        (401, "events", {"Heartbeats": 1, "EventBusMissing": 0, "answer": 401}),
        (401, "another", {"Heartbeats": 1, "EventBusMissing": 1, "answer": 401}),
        (200, "events", {"Heartbeats": 0, "EventBusMissing": 0, "answer": 200}),
        (503, "events", {"Heartbeats": 0, "EventBusMissing": 0, "answer": 503}),
        (None, "events", {"Heartbeats": 0, "EventBusMissing": 0, "answer": "<urlopen error refused>"}),
    ],
)
def test_a_401_is_a_heartbeat_and_nothing_else_is(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: int | None,
    bus: str,
    counted: dict[str, object],
) -> None:
    def urlopen(url: str, **_: object) -> Success:
        if answer == Success.status:
            return Success()
        raise HTTPError(url, answer, "", Message(), None) if answer else URLError("refused")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("events").create_event_bus(Name=bus)
        runpy.run_path("infra/probe/index.py")["handler"]({}, None)
    written = json.loads(capsys.readouterr().out)
    [metrics] = written.pop("_aws")["CloudWatchMetrics"]
    assert metrics["Namespace"] == "AfterHours"
    assert written == counted | {"service": "AfterHours-prod"}


def test_its_code_fits_into_a_template(aws: Synthesized) -> None:
    codes = [each["Properties"]["Code"] for each in aws.resources("AWS::Lambda::Function").values()]
    [inline] = [code["ZipFile"] for code in codes if "ZipFile" in code]
    assert inline == Path("infra/probe/index.py").read_text()
    assert len(inline) <= LONGEST_INLINE
