"""Every sample event runs on the deployed function: its own runtime, and what it answers can be written as JSON."""

import base64
import json

import boto3
import pytest

from local.samples import Sample, samples
from local.stack import Stack

SAMPLES = [sample for named in samples().values() for sample in named.values()]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_sample_runs_to_its_end(stack: Stack, sample: Sample) -> None:
    event = sample.text(stack.users["other"].token)
    answer = boto3.client("lambda", **stack.aws).invoke(
        FunctionName=stack.functions[sample.function], Payload=event.encode(), LogType="Tail"
    )
    result = json.load(answer["Payload"])
    log = base64.b64decode(answer["LogResult"]).decode(errors="replace")
    assert ("FunctionError" in answer) is (sample.expected.raises is not None), log
    if isinstance(result, dict) and "statusCode" in result:
        assert result["statusCode"] < 500, log
