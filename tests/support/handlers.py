"""The functions' handlers: the events that API Gateway sends to them, and their answers."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

from tools.local import handlers
from tools.local.handlers import Context


@dataclass(frozen=True)
class Answer:
    """What API Gateway gets from a handler, its body read."""

    status: int
    body: Any
    headers: dict[str, str]


@cache
def load(function: str) -> Any:
    """Return a function's handler, loaded once for all tests."""
    return handlers.load(function).handler


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
