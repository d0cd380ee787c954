"""Look at schedules in EventBridge Scheduler, and move them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_AT = re.compile(r"at\((.*)\)")
# UpdateSchedule resets the parts that a call leaves out.
_KEPT = ("GroupName", "Name", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "ActionAfterCompletion", "Target")


def find(client: Any, group: str, name: str) -> dict[str, Any] | None:  # noqa: ANN401 (boto3's)
    """Return the schedule of this name; None when there is none, or when it has fired and deleted itself."""
    try:
        schedule: dict[str, Any] = client.get_schedule(GroupName=group, Name=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    return schedule


def move(client: Any, schedule: Mapping[str, Any], to: datetime) -> None:  # noqa: ANN401 (boto3's)
    """Move a schedule, as `find` returned it, to another time, and leave everything else of it as it is."""
    kept = {part: schedule[part] for part in _KEPT if part in schedule}
    client.update_schedule(**kept, ScheduleExpression=f"at({to.astimezone(UTC):%Y-%m-%dT%H:%M:%S})")


def moment(expression: str) -> datetime:
    """Read `at(2026-11-25T17:00:00)`, in UTC."""
    matched = _AT.fullmatch(expression)
    if matched is None:
        raise ValueError(expression)
    return datetime.fromisoformat(matched[1]).replace(tzinfo=UTC)
