"""What happened, told to chat and push services on an EventBridge bus, at least once.

An event is written to an outbox by the statement that makes the change, so that neither exists without the other. It
leaves the outbox when the bus has it: at once, as a rule, else by the sweep. No event says where anyone is.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING

from after_hours import config
from after_hours.aws import faults_as, patience
from after_hours.database import Database, Row
from after_hours.errors import EventBusUnavailable
from after_hours.observability import count, left_to_sweep

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient

SOURCE = "after-hours"

_MAX_ENTRIES = 10  # of one PutEvents call


class Type(StrEnum):
    SESSION_STARTED = "SessionStarted"
    SESSION_EXPIRING = "SessionExpiring"
    SESSION_EXTENDED = "SessionExtended"
    SESSION_ENDED = "SessionEnded"
    PHOTO_READY = "PhotoReady"
    PHOTO_REJECTED = "PhotoRejected"


# The last column of a statement that has the common table expression `events`.
EVENTS = "(SELECT json_agg(events) FROM events) AS events"


def utc(column: str) -> str:
    """SQL of a time as the API writes times: ISO 8601, UTC, `Z`."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


_COLUMNS = f"id::text, type, detail, {utc('occurred_at')} AS occurred_at"

# Younger ones are being published by whoever wrote them.
_UNSENT = f"""
    SELECT {_COLUMNS} FROM after_hours_domain_events AS event
    WHERE event.occurred_at < now() - interval '10 seconds'
    ORDER BY event.occurred_at LIMIT 500
"""

_SENT = "DELETE FROM after_hours_domain_events WHERE id = ANY(%(ids)s::uuid[])"


def fact(type_: Type, source: str, **detail: str) -> str:
    """SQL of the events of `source`, a common table expression of changed rows; `detail` is SQL, by member."""
    members = ", ".join(f"'{name}', {expression}" for name, expression in detail.items())
    return f"SELECT '{type_}' AS type, jsonb_build_object({members}) AS detail FROM {source}"


def recorded(*facts: str) -> str:
    """SQL of the common table expression `events`, which writes the facts to the outbox and returns them."""
    return f"""events AS (
        INSERT INTO after_hours_domain_events (type, detail)
        SELECT type, detail FROM ({" UNION ALL ".join(facts)}) AS fact
        RETURNING {_COLUMNS}
    )"""


def publish(database: Database, events: Sequence[Row] | None) -> int:
    """Put the rows of the outbox on the bus. Returns how many it took; the others stay for the sweep."""
    sent: list[str] = []
    with left_to_sweep("EventBusFaults"):
        for batch in batched(events or (), _MAX_ENTRIES, strict=False):
            sent += _put(batch)
    if sent:
        count("EventsPublished", len(sent))
        with left_to_sweep("EventBusFaults"):
            database.fetch_all(_SENT, {"ids": sent})
    return len(sent)


def publish_unsent(database: Database) -> int:
    """Publish what nobody has published yet. Returns how many events the bus took."""
    return publish(database, database.fetch_all(_UNSENT))


def _put(events: Sequence[Row]) -> list[str]:
    """Send up to ten events; the ids of those taken. Raises `EventBusUnavailable` when none is."""
    with faults_as(EventBusUnavailable):
        answer = _client().put_events(
            Entries=[
                {
                    "EventBusName": config.settings().event_bus,
                    "Source": SOURCE,
                    "DetailType": event["type"],
                    "Detail": json.dumps(
                        {"eventId": event["id"], "occurredAt": event["occurred_at"], **event["detail"]}
                    ),
                }
                for event in events
            ]
        )
    taken = [event["id"] for event, entry in zip(events, answer["Entries"], strict=True) if "EventId" in entry]
    if not taken:
        raise EventBusUnavailable(answer["Entries"][0].get("ErrorCode", "unknown"))
    return taken


@cache
def _client() -> "EventBridgeClient":
    import boto3  # noqa: PLC0415

    # A member waits behind this call, and the sweep does what it leaves undone: better to give up at once.
    client: EventBridgeClient = boto3.client("events", config=patience(connect_seconds=1, read_seconds=1, attempts=1))
    return client
