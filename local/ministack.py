"""MiniStack as a program, put right where it would refuse calls that AWS allows. Its own Python runs this file alone.

With AUTH=true it checks each call against the rights of whoever makes it. Three things stand in the way of ours.
"""

import importlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

_ministack: Any = importlib.import_module("ministack.app")
_rights: Any = importlib.import_module("ministack.core.iam_actions")
_templates: Any = importlib.import_module("ministack.services.cloudformation.provisioners")

_SECRET = _templates._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]  # noqa: SLF001 (it has no other door)
_serve, _resource, _make_secret = _ministack.app, _rights.extract_resource_arn, _SECRET["create"]


async def _over_tls(scope: dict[str, Any], *channel: Callable[..., Awaitable[Any]]) -> None:
    """Serve a call as one that came over TLS: buckets and queues deny all others, and this machine speaks HTTP."""
    if scope["type"] == "http":
        scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
    await _serve(scope, *channel)


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


_ministack.app, _rights.extract_resource_arn, _SECRET["create"] = _over_tls, _resource_with_its_group, _secret_by_arn

if __name__ == "__main__":
    _ministack.main()
