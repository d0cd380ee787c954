"""What happens behind the API, read from the running system, and what the page may change there."""

import json
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import boto3
from psycopg2.extras import RealDictCursor
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from tools.local import members, schedules
from tools.local.members import Member
from tools.local.stack import Stack

_SOON = timedelta(seconds=10)
_WARNED_BEFORE = timedelta(minutes=5)
_TEN_MINUTES = timedelta(minutes=10)
_LOGGED_ALIKE_BY_ALL = {
    "service", "location", "timestamp", "function_name", "function_memory_size", "function_arn", "function_request_id",
    "correlation_id", "xray_trace_id",
}  # fmt: skip


class NoSuchMemberError(Exception):
    """Nobody has this id."""


class MemberDetails(BaseModel):
    """What the page may say of a member; what it does not say stays."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    name: str | None = None
    age: int | None = None
    gender: str | None = None
    sexual_preference: str | None = None
    subscribed: bool | None = None
    verified: bool | None = None
    consenting: bool | None = None

    def applied_to(self, member: Member) -> Member:
        return replace(member, **self.model_dump(exclude_none=True))


class Moment(StrEnum):
    """Until when the page lets time pass; never beyond ten seconds before the end."""

    WARNING = "warning"
    END = "end"
    TEN_MINUTES = "ten-minutes"


class Backstage:
    """One running system, seen from behind the API. Nothing is cached: every method reads anew."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._scheduler = boto3.client("scheduler", **stack.aws)
        self._logs = boto3.client("logs", **stack.aws)

    def members(self) -> list[dict[str, Any]]:
        """Return all members of the main app, each with a token."""
        return [
            {to_camel(name): value for name, value in asdict(member).items()} | {"token": self._stack.token(member.id)}
            for member in self._everyone()
        ]

    def make_member(self, details: MemberDetails) -> str:
        """Make a member, fully entitled unless the details say otherwise. Return the id."""
        member = details.applied_to(replace(members.SEEDED["entitled"], id=f"page-{uuid4()}"))
        self._save(member)
        return member.id

    def change_member(self, user_id: str, details: MemberDetails) -> None:
        """Change what the details give. Raises NoSuchMemberError."""
        found = next((member for member in self._everyone() if member.id == user_id), None)
        if found is None:
            raise NoSuchMemberError
        self._save(details.applied_to(found))

    def reset(self) -> None:
        """Let everyone leave, as members do, so that photos and schedules go; then make the first members anew."""
        for member in self._everyone():
            self._stack.call("DELETE", "/profile", token=self._stack.token(member.id))
        with closing(self._stack.connect()) as connection:
            members.begin_anew(connection)

    def state(self, user_id: str) -> dict[str, Any]:
        """Return what the database has: the newest session, and whether the member has left within the hour."""
        left = self._rows("SELECT FROM after_hours_departures WHERE user_id = %(user_id)s", {"user_id": user_id})
        return {"hasLeft": bool(left), "session": self._newest_session(user_id)}

    def _newest_session(self, user_id: str) -> dict[str, Any] | None:
        """Return it as the database has it, with the place that others are shown, and with its schedules."""
        rows = self._rows(
            """
            SELECT id::text, expires_at, coalesce(ended_at, expires_at) AS ends_at,
                ended_at IS NULL AND expires_at > now() AS is_live,
                extract(epoch FROM expires_at - now())::float AS remaining_seconds,
                extract(epoch FROM expires_at - started_at)::float AS seconds,
                coalesce(warned_for = expires_at, false) AS is_warned,
                fuzzed_latitude::float AS latitude, fuzzed_longitude::float AS longitude
            FROM after_hours_sessions WHERE user_id = %(user_id)s
            ORDER BY ended_at DESC NULLS FIRST LIMIT 1 -- time that passes moves starts, and so their order
            """,
            {"user_id": user_id},
        )
        if not rows:
            return None
        session = rows[0]
        place = {name: session.pop(name) for name in ("latitude", "longitude")}
        return {
            **{to_camel(name): _text(value) for name, value in session.items()},
            "shownPlace": place if place["latitude"] is not None else None,
            "schedules": [
                schedule for kind in ("warn", "expire") if (schedule := self._schedule(f"{kind}-{session['id']}"))
            ],
        }

    def let_time_pass(self, session_id: UUID, until: Moment) -> None:
        """Move a live session into the past, as if time had passed; never into the future, and never beyond its end.

        Its schedules are moved along, and all that happens then is their doing.
        """
        found = self._rows(
            """
            SELECT expires_at, date_trunc('second', now()) AS now FROM after_hours_sessions
            WHERE id = %(id)s AND ended_at IS NULL AND expires_at > now()
            """,
            {"id": str(session_id)},
        )
        if not found:
            return
        expires_at, now = found[0]["expires_at"], found[0]["now"]
        most = expires_at - now - _SOON
        wanted = {Moment.END: most, Moment.WARNING: most - _WARNED_BEFORE, Moment.TEN_MINUTES: _TEN_MINUTES}[until]
        passed = max(min(wanted, most), timedelta(0))
        self._rows(
            """
            UPDATE after_hours_sessions SET
                started_at = started_at - %(passed)s, expires_at = expires_at - %(passed)s,
                warned_for = warned_for - %(passed)s
            WHERE id = %(id)s AND ended_at IS NULL RETURNING id
            """,
            {"id": str(session_id), "passed": passed},
        )
        self._move_schedule(f"expire-{session_id}", expires_at - passed)
        # A warning that lies behind is due at once.
        self._move_schedule(f"warn-{session_id}", max(expires_at - passed - _WARNED_BEFORE, now + _SOON))

    def log_of_last_call(self, function: str, since: datetime) -> dict[str, Any]:
        """Return what the function logged in its last complete run since then. Raises KeyError for other names."""
        group = f"/aws/lambda/{self._stack.functions[function]}"
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=int(since.timestamp() * 1000)
        )
        lines = [event["message"].rstrip() for page in pages for event in page["events"]]
        starts = [number for number, line in enumerate(lines) if line.startswith("START ")]
        last = lines[starts[-1] :] if starts else []
        report = next((line for line in last if line.startswith("REPORT ")), None)
        if report is None:
            return {"lines": [], "duration": None}
        written = [_line(line) for line in last if not line.startswith(("START ", "END ", "REPORT "))]
        duration = next((part for part in report.split("\t") if part.startswith("Duration: ")), "")
        return {"lines": written, "duration": duration.removeprefix("Duration: ")}

    def _everyone(self) -> list[Member]:
        rows = self._rows(
            """
            SELECT
                u.id, p.name, p.age, p.gender, p.sexual_preference, u.id_verified AS verified,
                u.after_hours_consent AS consenting, EXISTS (
                    SELECT FROM user_subscriptions s
                    WHERE s.user_id = u.id AND s.is_active AND (s.expires_at IS NULL OR s.expires_at > now())
                ) AS subscribed
            FROM users u JOIN profiles p ON p.user_id = u.id
            ORDER BY u.created_at, u.id
            """
        )
        return [Member(**row) for row in rows]

    def _save(self, member: Member) -> None:
        with closing(self._stack.connect()) as connection:
            members.save(connection, member)

    def _rows(self, statement: str, parameters: dict[str, object] | None = None) -> list[dict[str, Any]]:
        with (
            closing(self._stack.connect()) as connection,
            connection,
            connection.cursor(cursor_factory=RealDictCursor) as cursor,
        ):
            cursor.execute(statement, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def _schedule(self, name: str) -> dict[str, Any] | None:
        schedule = schedules.find(self._scheduler, self._stack.schedule_group, name)
        return {"name": name, "expression": schedule["ScheduleExpression"]} if schedule else None

    def _move_schedule(self, name: str, moment: datetime) -> None:
        """Move a schedule, if it is still there."""
        if schedule := schedules.find(self._scheduler, self._stack.schedule_group, name):
            schedules.move(self._scheduler, schedule, moment)


def _text(value: object) -> object:
    """Write a time as the API does; everything else as it is."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _line(text: str) -> dict[str, Any]:
    """Return a line of a log, without the keys that every line has."""
    try:
        entry = json.loads(text)
    except ValueError:
        return {"level": "", "message": text, "details": {}}
    if "_aws" in entry:
        metrics = {name: value for name, value in entry.items() if name not in {"_aws", "service"}}
        return {"level": "METRICS", "message": "", "details": metrics}
    details = {name: value for name, value in entry.items() if name not in _LOGGED_ALIKE_BY_ALL | {"level", "message"}}
    return {"level": entry.get("level", ""), "message": entry.get("message", ""), "details": details}
