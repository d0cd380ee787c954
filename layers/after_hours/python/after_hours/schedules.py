"""The one-shot schedules of a session in EventBridge Scheduler: one at its end, one five minutes before.

They make an expiry prompt; they never decide it. A call here may fail and a schedule may fire early, late or twice: the
functions behind them ask the database, and the sweep puts the set of schedules right every minute.
"""

import math
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, TypedDict
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from after_hours import config
from after_hours.aws import faults_as, patience
from after_hours.errors import SchedulerUnavailable
from after_hours.observability import left_to_sweep

if TYPE_CHECKING:
    from types_boto3_scheduler import EventBridgeSchedulerClient
    from types_boto3_scheduler.type_defs import CreateScheduleInputTypeDef, TargetTypeDef

WARNING_BEFORE = timedelta(minutes=5)
FAULTS = "SchedulerFaults"

_MAX_EVENT_AGE_SECONDS = 300
_DELIVERY_RETRIES = 5


class Kind(StrEnum):
    EXPIRY = "expiry"
    WARNING = "warning"


_PREFIXES = {Kind.EXPIRY: "expire-", Kind.WARNING: "warn-"}


class ScheduledEvent(BaseModel):
    """What a schedule sends to expire_session when it fires."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, hide_input_in_errors=True
    )

    kind: Kind
    session_id: UUID


@dataclass(frozen=True)
class Schedule:
    """One moment of one session at which expire_session is to be invoked."""

    kind: Kind
    session_id: UUID
    at: datetime

    @property
    def name(self) -> str:
        return name(self.kind, self.session_id)

    @property
    def expression(self) -> str:
        """`at(…)` in UTC, rounded up to the whole seconds it can hold: an expiry must not fire before its time."""
        moment = datetime.fromtimestamp(math.ceil(self.at.timestamp()), UTC)
        return f"at({moment:%Y-%m-%dT%H:%M:%S})"


def name(kind: Kind, session_id: UUID) -> str:
    return f"{_PREFIXES[kind]}{session_id}"


def expiry(session_id: UUID, expires_at: datetime) -> Schedule:
    return Schedule(Kind.EXPIRY, session_id, expires_at)


def warning(session_id: UUID, expires_at: datetime) -> Schedule:
    return Schedule(Kind.WARNING, session_id, expires_at - WARNING_BEFORE)


def put(schedule: Schedule) -> None:
    """Create the schedule or, if there is one of its name, move it. Raises `SchedulerUnavailable`."""
    client = _client()
    settings = config.settings()
    target: TargetTypeDef = {
        "Arn": settings.expire_function_arn,
        "RoleArn": settings.scheduler_role_arn,
        "Input": ScheduledEvent(kind=schedule.kind, session_id=schedule.session_id).model_dump_json(by_alias=True),
        "DeadLetterConfig": {"Arn": settings.schedule_dead_letter_arn},
        "RetryPolicy": {"MaximumEventAgeInSeconds": _MAX_EVENT_AGE_SECONDS, "MaximumRetryAttempts": _DELIVERY_RETRIES},
    }
    request: CreateScheduleInputTypeDef = {
        "Name": schedule.name,
        "GroupName": settings.schedule_group,
        "ScheduleExpression": schedule.expression,
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": target,
    }
    with faults_as(SchedulerUnavailable):
        try:
            client.create_schedule(**request)
        except client.exceptions.ConflictException:
            client.update_schedule(**request)


def delete(name: str) -> None:
    """Delete a schedule; one that is gone already is fine. Raises `SchedulerUnavailable`."""
    client = _client()
    with faults_as(SchedulerUnavailable), suppress(client.exceptions.ResourceNotFoundException):
        client.delete_schedule(Name=name, GroupName=config.settings().schedule_group)


def names() -> set[str]:
    """Return the names of all schedules of the group. Raises `SchedulerUnavailable`."""
    pages = _client().get_paginator("list_schedules").paginate(GroupName=config.settings().schedule_group)
    with faults_as(SchedulerUnavailable):
        return {schedule["Name"] for page in pages for schedule in page["Schedules"]}


class Repair(TypedDict):
    """What `reconcile` did, in numbers of schedules."""

    created: int
    deleted: int


def reconcile(existing: Collection[str], wanted: Collection[Schedule]) -> Repair:
    """Create what is wanted and does not exist, delete what exists and is not wanted.

    `existing` must have been listed before `wanted` was read: a session that starts in between is then wanted but not
    listed (put twice, harmless), and never listed but unwanted (its schedule would be lost).
    """
    missing = [schedule for schedule in wanted if schedule.name not in existing]
    orphans = set(existing) - {schedule.name for schedule in wanted}
    for schedule in missing:
        with left_to_sweep(FAULTS):  # the next one: a schedule that is refused must not keep the others from being made
            put(schedule)
    for orphan in orphans:
        with left_to_sweep(FAULTS):
            delete(orphan)
    return Repair(created=len(missing), deleted=len(orphans))


@cache
def _client() -> "EventBridgeSchedulerClient":
    import boto3  # noqa: PLC0415

    # A member waits behind these calls, and the sweep repairs what they leave undone: better to give up soon.
    client: EventBridgeSchedulerClient = boto3.client(
        "scheduler", config=patience(connect_seconds=1, read_seconds=2, attempts=2)
    )
    return client
