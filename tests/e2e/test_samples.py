"""Every sample event runs on the deployed function: its own runtime, and what it answers can be written as JSON."""

import base64
import json
from pathlib import Path

import boto3
import pytest

from local.place import REPOSITORY
from local.stack import Stack

SAMPLES = sorted((REPOSITORY / "events").glob("*/*.json"))
FAILS_BY_DESIGN = {"expire_session/no_session"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_sample_runs_to_its_end(stack: Stack, sample: Path) -> None:
    event = sample.read_text().replace("SAMPLE_TOKEN", stack.users["other"].token)
    answer = boto3.client("lambda", **stack.aws).invoke(
        FunctionName=stack.functions[sample.parent.name], Payload=event.encode(), LogType="Tail"
    )
    result = json.load(answer["Payload"])
    log = base64.b64decode(answer["LogResult"]).decode(errors="replace")
    fails = f"{sample.parent.name}/{sample.stem}" in FAILS_BY_DESIGN
    assert ("FunctionError" in answer) is fails, log
    if isinstance(result, dict) and "statusCode" in result:
        assert result["statusCode"] < 500, log
