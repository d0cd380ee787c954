"""Load a function's handler as Lambda does, make the events that API Gateway sends to it, and read its answers."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any
from uuid import uuid4

from local.workspace import REPOSITORY


@dataclass(frozen=True)
class Context:
    """What Lambda hands to a handler beside the event."""

    function_name: str
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:test"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Answer:
    """What API Gateway gets from a handler, its body read."""

    status: int
    body: Any
    headers: dict[str, str]


@cache
def load(function: str) -> Any:
    path = REPOSITORY / "functions" / function / "handler.py"
    spec = spec_from_file_location(f"functions.{function}.handler", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def http_event(*, token: str | None = None, body: Any = None, **overrides: Any) -> dict[str, Any]:
    """An event as API Gateway makes it (payload format 2.0). `body` is sent as JSON, or as it is when a string."""
    headers = {"content-type": "application/json"} if body is not None else {}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    event = {
        "version": "2.0",
        "routeKey": "POST /test",
        "headers": headers,
        "requestContext": {"requestId": str(uuid4()), "routeKey": "POST /test", "http": {"method": "POST"}},
        "isBase64Encoded": False,
    }
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    return event | overrides


def send(function: str, event: Any) -> Answer:
    """Hand an HTTP event to a function's handler."""
    answer = load(function)(event, Context(function))
    content = answer.get("body")
    return Answer(answer["statusCode"], json.loads(content) if content else None, answer["headers"])


def invoke(function: str, event: Any) -> Any:
    """Run a function that answers no request; what it returns has been through JSON, as on Lambda."""
    return json.loads(json.dumps(load(function)(event, Context(function))))
