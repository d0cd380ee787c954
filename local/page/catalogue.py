"""What the page offers to send: every endpoint with what the contract says of it, and its sample events as bodies."""

import json
from functools import cache
from typing import Any

from infra.endpoints import ENDPOINTS, PREFIX, Endpoint
from local.samples import TOKEN, Sample, samples
from local.workspace import REPOSITORY

_CONTRACT = REPOSITORY / "docs" / "openapi.json"


def contract() -> dict[str, Any]:
    """Return the description of the API for app developers, as it is in `docs/`."""
    description: dict[str, Any] = json.loads(_CONTRACT.read_bytes())
    return description


@cache
def endpoints() -> list[dict[str, Any]]:
    described = contract()["paths"]
    return [_endpoint(endpoint, described[endpoint.path][endpoint.method.lower()]) for endpoint in ENDPOINTS]


def choices() -> dict[str, list[str]]:
    """Return the words from which preferences are chosen, by field."""
    fields = contract()["components"]["schemas"]["Preferences"]["properties"]
    orientation, _null = fields["sexualOrientation"]["anyOf"]
    return {"seekingGender": fields["seekingGender"]["enum"], "sexualOrientation": orientation["enum"]}


def _endpoint(endpoint: Endpoint, described: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": endpoint.method,
        "path": PREFIX + endpoint.path,
        "function": endpoint.function,
        "summary": described["summary"],
        "description": described.get("description", ""),
        "takesBody": "requestBody" in described,
        "samples": [_sample(sample) for sample in samples()[endpoint.function].values()],
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
