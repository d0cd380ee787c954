"""The call that we sign ourselves goes where a client of boto3 would send it, in IPv4 and IPv6."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from after_hours import aws
from botocore.config import Config

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:name-a1B2c3"


@pytest.mark.parametrize("dual_stack", [True, False])
def test_a_secret_is_asked_for_where_a_client_would_ask(monkeypatch: pytest.MonkeyPatch, dual_stack: bool) -> None:
    asked: list[Any] = []

    def send(request: Any) -> SimpleNamespace:
        asked.append(request)
        return SimpleNamespace(status_code=200, content=b'{"SecretString": "text"}')

    monkeypatch.setattr(aws, "_secrets_connection", lambda: SimpleNamespace(send=send))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_USE_DUALSTACK_ENDPOINT", raising=False)
    if dual_stack:
        monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")

    client = boto3.client("secretsmanager", "eu-west-1", config=Config(use_dualstack_endpoint=dual_stack))
    assert aws.secret(ARN, region="eu-west-1") == "text"
    assert asked[0].url.rstrip("/") == client.meta.endpoint_url
