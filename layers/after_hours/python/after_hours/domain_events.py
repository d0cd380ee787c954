"""Domain events, published on an EventBridge bus for chat and push services, at least once.

The statement that makes a change also writes its event to an outbox (by the SQL function after_hours_tell), so that
neither exists without the other. Whoever makes the change holds a lease on the event and publishes it at once, best
effort. The sweep takes over when the lease is over. An event that the bus took is deleted from the outbox. No event
says where anyone is.
"""

import json
import time
from collections.abc import Sequence
from itertools import batched
from typing import TypedDict

from after_hours import calls, clients, config
from after_hours.database import Database
from after_hours.errors import EventBusUnavailable, ServiceUnavailable
from after_hours.observability import best_effort, count, count_fault

SOURCE = "after-hours"
FAULTS = "EventBusFaults"

_MAX_ENTRIES = 10  # of one PutEvents call


class Event(TypedDict):
    """A row of the outbox, as after_hours_tell returns it."""

    id: str
    type: str
    occurredAt: str
    detail: dict[str, object]


# The lease is longer than a sweep may take, so that no other sweep publishes the same events meanwhile.
_CLAIM_DUE = """
    WITH due AS (
        SELECT id FROM after_hours_domain_events WHERE due_at <= now() ORDER BY due_at LIMIT 400
        FOR UPDATE SKIP LOCKED
    )
    UPDATE after_hours_domain_events event SET due_at = now() + interval '1 minute'
    WHERE event.id = ANY(ARRAY(SELECT id FROM due))
    RETURNING
        event.id::text, event.type, after_hours_utc(event.occurred_at) AS "occurredAt", event.detail, event.attempts
"""

_FORGET_SENT = """
    DELETE FROM after_hours_domain_events
    WHERE id = ANY(ARRAY(
        SELECT id FROM after_hours_domain_events WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE
    ))
"""

# An event that the bus refuses again and again backs off alone, and for ten minutes at most: the bus may have been
# down, and the event may be fine.
_BACK_OFF = """
    UPDATE after_hours_domain_events
    SET due_at = now() + least(interval '1 minute' * 2 ^ least(attempts, 10), interval '10 minutes'),
        attempts = attempts + 1
    WHERE id = ANY(ARRAY(
        SELECT id FROM after_hours_domain_events WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE
    ))
"""


def send(events: Sequence[Event]) -> list[str]:
    """Put events on the bus, best effort. Returns the ids of those that the bus took; the sweep sends the others."""
    sent: list[str] = []
    with best_effort(FAULTS):
        for entries in batched(events, _MAX_ENTRIES, strict=False):
            sent += _put(entries)
    if sent:
        count("EventsPublished", len(sent))
    return sent


def publish(database: Database, events: Sequence[Event]) -> None:
    """Put events on the bus, and delete those that the bus took from the outbox, best effort."""
    if sent := send(events):
        with best_effort(FAULTS):
            database.execute(_FORGET_SENT, {"ids": sent})


def publish_due(database: Database, deadline: float) -> int:
    """Publish what nobody has published yet, until `deadline`. Returns how many events the bus took."""
    published = 0
    while time.monotonic() < deadline and (events := database.fetch_all(_CLAIM_DUE)):
        # An event that was refused before is sent alone: a call that fails because of it must not keep back nine
        # others.
        fresh = [event for event in events if not event["attempts"]]
        batches = [*batched(fresh, _MAX_ENTRIES, strict=False), *((event,) for event in events if event["attempts"])]
        outcomes = calls.in_parallel(_put, batches, deadline=deadline)
        sent = {id_ for _, ids in outcomes if not isinstance(ids, ServiceUnavailable) for id_ in ids}
        refused = [event["id"] for entries, _ in outcomes for event in entries if event["id"] not in sent]
        if sent:
            database.execute(_FORGET_SENT, {"ids": list(sent)})
            count("EventsPublished", len(sent))
            published += len(sent)
        if refused:
            database.execute(_BACK_OFF, {"ids": refused})
            count_fault(FAULTS, EventBusUnavailable(f"events refused: {len(refused)}"))
        if len(outcomes) < len(batches):
            break  # the bus is silent, or the time is over
    return published


def _put(events: Sequence[Event]) -> list[str]:
    """Send up to ten events. Returns the ids of those that the bus took. Raises `EventBusUnavailable`."""
    with clients.translated(EventBusUnavailable):
        answer = clients.event_bus().put_events(
            Entries=[
                {
                    "EventBusName": config.setting("EVENT_BUS"),
                    "Source": SOURCE,
                    "DetailType": event["type"],
                    "Detail": json.dumps(
                        {"eventId": event["id"], "occurredAt": event["occurredAt"], **event["detail"]}
                    ),
                }
                for event in events
            ]
        )
    results = zip(events, answer.get("Entries", ()), strict=False)  # in the order of the request
    return [event["id"] for event, result in results if result.get("EventId")]
