"""What the page offers to send: every endpoint with what the contract says of it, and its sample events as bodies."""

import json
from typing import Any

from infra.endpoints import ENDPOINTS, PREFIX, Endpoint
from tools.local.samples import TOKEN, Sample, samples
from tools.local.workspace import REPOSITORY

_CONTRACT = REPOSITORY / "docs" / "openapi.json"


def contract() -> dict[str, Any]:
    """Return the description of the API for app developers, as it is in `docs/`."""
    description: dict[str, Any] = json.loads(_CONTRACT.read_bytes())
    return description


def endpoints() -> list[dict[str, Any]]:
    """Return every endpoint, with its samples; also those that are not described yet, or have no samples."""
    described = contract()["paths"]
    return [
        _endpoint(each, described.get(each.path, {}).get(each.method.lower()) or _not_described(each))
        for each in ENDPOINTS
    ]


def choices() -> dict[str, list[str]]:
    """Return the words from which preferences are chosen, by field."""
    fields = contract()["components"]["schemas"]["Preferences"]["properties"]
    orientation, _null = fields["sexualOrientation"]["anyOf"]
    return {"seekingGender": fields["seekingGender"]["enum"], "sexualOrientation": orientation["enum"]}


def _not_described(endpoint: Endpoint) -> dict[str, Any]:
    """Return what stands in for the description of an endpoint that was written before it."""
    takes_body: dict[str, Any] = {"requestBody": {}} if endpoint.method in {"POST", "PATCH"} else {}
    return {"summary": "Not described yet: make openapi"} | takes_body


def _endpoint(endpoint: Endpoint, described: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": endpoint.method,
        "path": PREFIX + endpoint.path,
        "function": endpoint.function,
        "summary": described["summary"],
        "description": described.get("description", ""),
        "takesBody": "requestBody" in described,
        "samples": [_sample(sample) for sample in samples().get(endpoint.function, {}).values()],
    }


def _sample(sample: Sample) -> dict[str, Any]:
    event = sample.event(TOKEN)
    return {
        "name": sample.name,
        "body": event.get("body", ""),
        "authorization": event["headers"].get("authorization"),
        "status": sample.expected.status,
        "code": sample.expected.code,
        "given": sample.expected.given,
    }
