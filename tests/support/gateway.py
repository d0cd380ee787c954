"""API Gateway as far as a client sees it, in this process: each route of the table goes to its function's handler."""

import base64
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from infra.endpoints import ENDPOINTS, PREFIX
from tests.support.handlers import http_event, load
from tools.local.handlers import Context

_FUNCTIONS = {(endpoint.method, PREFIX + endpoint.path): endpoint.function for endpoint in ENDPOINTS}
_NOT_FOUND = {"statusCode": 404, "headers": {"content-type": "application/json"}, "body": '{"message":"Not Found"}'}


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer as WSGI has it."""
    function = _FUNCTIONS.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
    answer: dict[str, Any] = load(function)(_event(environ), Context(function)) if function else _NOT_FOUND
    status = HTTPStatus(answer["statusCode"])
    start_response(f"{status.value} {status.phrase}", list(answer["headers"].items()))
    return [answer.get("body", "").encode()]


def _event(environ: dict[str, Any]) -> dict[str, Any]:
    """Make the event; a body that is no text travels as base64."""
    headers = {name.removeprefix("HTTP_"): value for name, value in environ.items() if name.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        headers["CONTENT_TYPE"] = environ["CONTENT_TYPE"]
    event = http_event(headers={name.replace("_", "-").lower(): value for name, value in headers.items()})
    content: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if not content:
        return event
    try:
        return event | {"body": content.decode()}
    except UnicodeDecodeError:
        return event | {"body": base64.b64encode(content).decode(), "isBase64Encoded": True}
