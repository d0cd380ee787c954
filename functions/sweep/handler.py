import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from after_hours.entrypoints import jobs
from after_hours.foundation import clients
from after_hours.foundation.database import Database
from after_hours.foundation.faults import DatabaseUnreachable
from after_hours.foundation.observability import logger, stack
from after_hours.members import uploads
from after_hours.outbox import relay, schedules
from after_hours.outbox.relay import Kind
from after_hours.sweep import backlog, retention, safety_net

# The function may run for 60 seconds. Connecting may take 30 of them, and a call that begins in time may still have to
# wait for its answer.
SECONDS = 20


class Duty(NamedTuple):
    """Work that must be done even if a schedule, a call or a function failed. `share` is its weight for the time."""

    name: str
    share: int
    do: Callable[[Database, float], int]


# Promises to members come first. Duties that need the database alone come before those that may wait for an answer from
# outside. Time that a duty does not need goes to those after it.
DUTIES = (
    Duty("expired", 7, safety_net.expire_overdue),
    Duty("lapsed", 6, safety_net.end_lapsed),
    Duty("warned", 4, safety_net.warn_due),
    Duty("placesErased", 2, safety_net.erase_places),
    Duty("eventsPublished", 8, partial(relay.do_due, kind=Kind.EVENT)),
    Duty("uploadsFailed", 2, uploads.fail_stuck),
    Duty("uploadsForgotten", 1, retention.forget_uploads),
    Duty("departedForgotten", 1, retention.forget_departed),
    Duty("sessionsForgotten", 1, retention.forget_sessions),
    Duty("schedulesLost", 2, schedules.find_lost),
    Duty("schedulesRepaired", 6, partial(relay.do_due, kind=Kind.SCHEDULES)),
    Duty("photosDeleted", 3, partial(relay.do_due, kind=Kind.R2)),
    Duty("originalsDeleted", 3, partial(relay.do_due, kind=Kind.UPLOADS)),
)


class SweepIncomplete(Exception):
    """Some duties failed. The next sweep, within a minute, does them again."""


@jobs.job(clients.secrets_manager, clients.scheduler, clients.event_bus, clients.uploads)
def handler(event: dict[str, Any], database: Database) -> dict[str, object]:  # noqa: ARG001 (a timer's event says nothing)
    """Invoked every minute. Each duty has its turn, even if others fail."""
    database.open()
    outcomes: dict[str, object] = {}
    failed = []
    end = time.monotonic() + SECONDS
    for position, duty in enumerate(DUTIES):
        began = time.monotonic()
        share = duty.share / sum(each.share for each in DUTIES[position:])
        try:
            outcomes[duty.name] = duty.do(database, began + (end - began) * share)
        except DatabaseUnreachable:
            raise  # no other duty could be done, and each would wait as long
        except Exception as error:  # noqa: BLE001 (a duty that fails must not keep the others from their turn)
            logger.error("duty failed", duty=duty.name, error=type(error).__name__, stack=stack(error))
            failed.append(duty.name)
    if failed:
        raise SweepIncomplete(", ".join(failed))
    return {**outcomes, "left": backlog.report(database)}
