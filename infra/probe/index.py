"""Ask the API for something without a token, from outside its network, and look for the event bus.

An API that works answers 401: API Gateway, a function and the JWT secret have then done their part. A metric that does
not come is what the alarm rings for, so no failure is caught but the one that is looked for. The metrics are a line of
the log, in CloudWatch's embedded metric format.
"""

import json
import os
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

import boto3

_TIMEOUT_SECONDS = 10


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 (a clock's event says nothing)
    """Count `Heartbeats` (1 when the API answered 401) and `EventBusMissing`."""
    bus_is_missing = _bus_is_missing(os.environ["EVENT_BUS"])
    answer = _answer(os.environ["PROBED_URL"])
    counts = {"Heartbeats": int(answer == HTTPStatus.UNAUTHORIZED), "EventBusMissing": int(bus_is_missing)}
    metrics = {
        "Namespace": os.environ["METRICS_NAMESPACE"],
        "Dimensions": [["service"]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in counts],
    }
    document = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metrics]},
        "service": os.environ["METRICS_SERVICE"],
        "answer": answer,
        **counts,
    }
    print(json.dumps(document))  # noqa: T201 (which is how a function writes a line of that format)


def _answer(url: str) -> int | str:
    """Return the status of the answer, or what kept it from coming."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 (our own address)
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)


def _bus_is_missing(name: str) -> bool:
    """Ask EventBridge for the bus: it takes events for one that does not exist, and drops them."""
    events = boto3.client("events")
    try:
        events.describe_event_bus(Name=name)
    except events.exceptions.ResourceNotFoundException:
        return True
    return False
