"""What the page offers to send: every endpoint with its summary in the contract, and its sample events as bodies."""

import json
from typing import Any

from infra.endpoints import ENDPOINTS, PREFIX, Endpoint
from tools.local.samples import TOKEN, samples
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY

CONTRACT = REPOSITORY / "docs" / "openapi.json"


def catalogue(stack: Stack) -> dict[str, Any]:
    """Return the endpoints with their samples, the API's address, all functions, and the values of preferences."""
    contract = json.loads(CONTRACT.read_bytes())
    fields = contract["components"]["schemas"]["Preferences"]["properties"]
    orientation, _null = fields["sexualOrientation"]["anyOf"]
    return {
        "endpoints": [_endpoint(each, contract["paths"]) for each in ENDPOINTS],
        "apiUrl": stack.api_url.removesuffix(PREFIX),
        "functions": [*stack.functions],
        "choices": {"seekingGender": fields["seekingGender"]["enum"], "sexualOrientation": orientation["enum"]},
    }


def _endpoint(endpoint: Endpoint, paths: dict[str, Any]) -> dict[str, Any]:
    """Describe an endpoint, also one whose code comes first, and its samples and docs/openapi.json later."""
    described = paths.get(endpoint.path, {}).get(endpoint.method.lower(), {})
    events = {sample: sample.event(TOKEN) for sample in samples().get(endpoint.function, {}).values()}
    return {
        "method": endpoint.method,
        "path": PREFIX + endpoint.path,
        "function": endpoint.function,
        "summary": described.get("summary", "Not described yet: make openapi"),
        "samples": [
            {
                "name": sample.name,
                "body": event.get("body", ""),
                "authorization": event["headers"].get("authorization", ""),
                "outcome": f"{sample.expected} (given: {sample.expected.needs})",
            }
            for sample, event in events.items()
        ],
    }
