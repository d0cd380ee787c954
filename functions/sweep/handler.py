from typing import Any

from after_hours import domain_events, jobs, photos, removals, sessions
from after_hours.database import Database
from after_hours.observability import logger, stack

# What must come true even when a schedule, an event or a dependency was lost; promises to members first.
DUTIES = {
    "expired": sessions.expire_overdue,
    "lapsed": sessions.end_lapsed,
    "warned": sessions.warn_due,
    "locationsForgotten": sessions.forget_locations,
    "schedules": sessions.repair_schedules,
    "eventsPublished": domain_events.publish_unsent,
    "uploadsFailed": photos.fail_stuck,
    "uploadsForgotten": photos.forget_uploads,
    "objectsRemoved": removals.carry_out_due,
}


class SweepIncomplete(Exception):
    """Some duties could not be done; the next sweep, within a minute, tries them again."""


@jobs.job
def handler(event: dict[str, Any], database: Database) -> dict[str, object]:  # noqa: ARG001 (a clock's event says nothing)
    """The safety net, every minute. Each duty is tried, whatever becomes of the others."""
    outcomes: dict[str, object] = {}
    failed = []
    for duty, do in DUTIES.items():
        try:
            outcomes[duty] = do(database)
        except Exception as error:  # noqa: BLE001 (whatever keeps one duty from being done must not keep the others)
            logger.error("duty failed", duty=duty, error=type(error).__name__, stack=stack(error))
            failed.append(duty)
    if failed:
        raise SweepIncomplete(", ".join(failed))
    return outcomes
