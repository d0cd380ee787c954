from typing import Any

from after_hours.entrypoints import jobs
from after_hours.foundation import clients
from after_hours.foundation.database import Database
from after_hours.members import sessions
from after_hours.outbox.schedules import ScheduledEvent, ScheduleKind

ACTIONS = {ScheduleKind.EXPIRY: sessions.expire, ScheduleKind.WARNING: sessions.warn}


@jobs.job(clients.scheduler, clients.event_bus)
def handler(event: dict[str, Any], database: Database) -> dict[str, object]:
    """Invoked by a session's one-shot schedules: at its end, and five minutes before."""
    scheduled = ScheduledEvent.model_validate(event)
    outcome = ACTIONS[scheduled.kind](database, scheduled.session_id)
    return {"kind": scheduled.kind, "sessionId": str(scheduled.session_id), "outcome": outcome}
