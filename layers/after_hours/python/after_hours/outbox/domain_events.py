"""Domain events, published on an EventBridge bus for chat and push services, at least once. None contains a place.

The SQL function after_hours_put_event writes an event to the outbox.
"""

import json
from collections.abc import Sequence
from functools import partial
from itertools import batched

from after_hours.foundation import clients, settings
from after_hours.foundation.faults import EventBusUnavailable
from after_hours.outbox.tasks import Call, Task

SOURCE = "after-hours"

_MAX_ENTRIES = 10  # of one PutEvents call


def calls(tasks: Sequence[Task]) -> list[Call]:
    """Return the calls that publish events.

    An event that was refused before is sent alone, so that it cannot make the call for nine others fail.
    """
    fresh = [task for task in tasks if not task["attempts"]]
    batches = [*batched(fresh, _MAX_ENTRIES, strict=False), *((task,) for task in tasks if task["attempts"])]
    return [Call(batch, partial(_put, batch)) for batch in batches]


def _put(events: Sequence[Task]) -> list[str]:
    """Send up to ten events. Returns the ids of those that the bus refused. Raises `EventBusUnavailable`."""
    with clients.translated(EventBusUnavailable):
        response = clients.event_bus().put_events(
            Entries=[
                {
                    "EventBusName": settings.required("EVENT_BUS"),
                    "Source": SOURCE,
                    "DetailType": event["payload"]["type"],
                    "Detail": json.dumps(
                        {
                            "eventId": event["key"],
                            "occurredAt": event["payload"]["occurredAt"],
                            **event["payload"]["detail"],
                        }
                    ),
                }
                for event in events
            ]
        )
    results = zip(events, response.get("Entries", ()), strict=False)  # in the order of the request
    accepted = {event["key"] for event, result in results if result.get("EventId")}
    return [event["key"] for event in events if event["key"] not in accepted]
