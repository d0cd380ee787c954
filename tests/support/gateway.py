"""API Gateway as far as a client sees it, in this process: each route of the table goes to its function's handler."""

import base64
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from infra.endpoints import ENDPOINTS, PREFIX
from tests.support.handlers import load
from tools.local.handlers import Context

_FUNCTIONS = {(endpoint.method, PREFIX + endpoint.path): endpoint.function for endpoint in ENDPOINTS}
_NOT_FOUND = {"statusCode": 404, "headers": {"content-type": "application/json"}, "body": '{"message":"Not Found"}'}


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer as WSGI has it."""
    function = _FUNCTIONS.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
    answer: dict[str, Any] = load(function)(_event(environ), Context(function)) if function else _NOT_FOUND
    content = answer.get("body", "").encode()
    status = HTTPStatus(answer["statusCode"])
    start_response(f"{status.value} {status.phrase}", list(answer["headers"].items()))
    return [content]


def _event(environ: dict[str, Any]) -> dict[str, Any]:
    """Make the event (payload format 2.0); a body that is no text travels as base64."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "headers": dict(_headers(environ)),
        "requestContext": {"requestId": str(uuid4()), "routeKey": f"{method} {path}", "http": {"method": method}},
        "isBase64Encoded": False,
    }
    if not content:
        return event
    try:
        return event | {"body": content.decode()}
    except UnicodeDecodeError:
        return event | {"body": base64.b64encode(content).decode(), "isBase64Encoded": True}


def _headers(environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value):
            yield name.removeprefix("HTTP_").replace("_", "-").lower(), value
