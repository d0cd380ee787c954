"""MiniStack as a program, put right in six places. Its own Python runs this file alone.

With AUTH=true it checks each call against the caller's rights, and would refuse three kinds that AWS allows. It also
lets any web page call it (CORS `*`), even where it asks for no credentials: `/_ministack/reset` deletes everything. It
does not log why a function could not be started. And it looks for due schedules every ten seconds only, so that the
sweep is often first to end a session.
"""

import importlib
import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

_ministack: Any = importlib.import_module("ministack.app")
_rights: Any = importlib.import_module("ministack.core.iam_actions")
_templates: Any = importlib.import_module("ministack.services.cloudformation.provisioners")
_functions: Any = importlib.import_module("ministack.services.lambda_svc")
_scheduler: Any = importlib.import_module("ministack.services.scheduler")

type _Channel = Callable[..., Awaitable[Any]]

_SECRET = _templates._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]  # noqa: SLF001 (it has no other door)
_serve, _resource, _make_secret = _ministack.app, _rights.extract_resource_arn, _SECRET["create"]
_execute = _functions._execute_function_warm  # noqa: SLF001


async def _for_programs_over_tls(scope: dict[str, Any], receive: _Channel, send: _Channel) -> None:
    """Serve programs, and refuse web pages.

    A program's call is served as one over TLS: buckets and queues deny all others, and this machine speaks HTTP.
    """
    if scope["type"] == "lifespan":
        await _serve(scope, receive, send)
    elif _is_from_a_page(dict(scope["headers"])):
        await _refuse(scope["type"], send)
    else:
        await _serve({**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}, receive, send)


def _is_from_a_page(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser sends this for a page. SDKs and tools send neither header; `none` is an address typed in."""
    return (
        b"origin" in headers
        or headers.get(b"sec-fetch-site", b"none") != b"none"
        or not _is_this_machine(headers.get(b"host", b"").decode("latin-1"))
    )


def _is_this_machine(host: str) -> bool:
    """Whether the Host header is an address or localhost. Only another name can be pointed here by DNS rebinding."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or not ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False


async def _refuse(kind: str, send: _Channel) -> None:
    if kind == "websocket":
        await send({"type": "websocket.close"})  # before it is accepted: 403
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"No web page may call the local AWS.\n"})


def _resource_with_its_group(service: str, *call: Any) -> str:  # noqa: ANN401 (MiniStack's)
    """Name what a call is about. MiniStack takes every schedule to be in the group `default`."""
    _method, _path, _headers, body, query, *_ = call
    named: str = _resource(service, *call)
    if service != "scheduler":
        return named
    group = json.loads(body or b"{}").get("GroupName") or (query.get("groupName") or ["default"])[0]
    return named.replace(":schedule/default/", f":schedule/{group}/")


def _secret_by_arn(*resource: Any) -> tuple[str, dict[str, str]]:  # noqa: ANN401 (MiniStack's)
    """Make a secret of a template, to which the template refers by its ARN. MiniStack takes its name for that."""
    _name, attributes = _make_secret(*resource)
    return attributes["Arn"], attributes


def _with_its_error_logged(*call: Any) -> dict[str, Any]:  # noqa: ANN401 (MiniStack's)
    """Run a function, and log the error that it fails with as Lambda does: that it cannot be imported, for example."""
    outcome: dict[str, Any] = _execute(*call)
    if outcome.get("error"):
        error = "[ERROR] {errorType}: {errorMessage}".format_map(outcome["body"])
        outcome["log"] = "\n".join(filter(None, [outcome.get("log"), error]))
    return outcome


_ministack.app = _for_programs_over_tls
_rights.extract_resource_arn, _SECRET["create"] = _resource_with_its_group, _secret_by_arn
_functions._execute_function_warm = _with_its_error_logged  # noqa: SLF001
_scheduler._SCHEDULE_TICK_INTERVAL = 1  # noqa: SLF001 (seconds)

if __name__ == "__main__":
    _ministack.main()
