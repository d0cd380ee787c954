"""What happens behind the API, read from the running system, and what the page may change there."""

from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import boto3
from psycopg2.extras import RealDictCursor
from pydantic import TypeAdapter

from tools.local import logs, members, schedules
from tools.local.members import Member
from tools.local.stack import Stack

_MEMBER = TypeAdapter(Member)


class Moment(StrEnum):
    """Until when the page lets time pass: until five seconds before the warning or the end, or for ten minutes."""

    WARNING = "warning"
    END = "end"
    TEN_MINUTES = "ten-minutes"


class Backstage:
    """One running system, read from behind the API. Nothing is cached: every method reads anew."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._scheduler = boto3.client("scheduler", **stack.aws)
        self._logs = boto3.client("logs", **stack.aws)

    def members(self) -> list[dict[str, Any]]:
        """Return all members of the main app, each with a token."""
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
        return [{**row, "token": self._stack.token(row["id"])} for row in rows]

    def save_member(self, changes: dict[str, Any]) -> None:
        """Change the member with the id in `changes`, or make one. The other details stay as they are stored."""
        stored = next((each for each in self.members() if each["id"] == changes["id"]), {})
        with closing(self._stack.connect()) as connection:
            members.save(connection, _MEMBER.validate_python({**stored, **changes}))

    def reset(self) -> None:
        """Forget all that members did, and make the first members anew."""
        with closing(self._stack.connect()) as connection:
            members.begin_anew(connection)

    def state(self, user_id: str) -> dict[str, Any]:
        """Return a digest of what GETs answer, whether the member has left within the hour, and the newest session.

        The session is as the database has it, with the place that others are shown, and with its schedules.
        """
        (row,) = self._rows(
            """
            SELECT json_build_object(
                'digest', md5(concat(
                    (SELECT e::text FROM after_hours_entitlements(%(user_id)s) e),
                    (SELECT p::text FROM after_hours_profiles p WHERE user_id = %(user_id)s),
                    (SELECT p::text FROM after_hours_preferences p WHERE user_id = %(user_id)s),
                    (SELECT string_agg(u::text, ' ' ORDER BY number) FROM after_hours_photo_uploads u
                        WHERE user_id = %(user_id)s)
                )),
                'hasLeft', EXISTS (SELECT FROM after_hours_departures WHERE user_id = %(user_id)s),
                'session', (
                    SELECT json_build_object(
                        'id', id, 'expiresAt', expires_at, 'endsAt', coalesce(ended_at, expires_at),
                        'isLive', ended_at IS NULL AND expires_at > now(),
                        'remainingSeconds', extract(epoch FROM expires_at - now()),
                        'seconds', extract(epoch FROM expires_at - started_at),
                        'isWarned', coalesce(warned_for = expires_at, false),
                        'shownPlace', CASE WHEN fuzzed_latitude IS NOT NULL THEN
                            json_build_object('latitude', fuzzed_latitude, 'longitude', fuzzed_longitude)
                        END
                    )
                    FROM after_hours_sessions WHERE user_id = %(user_id)s
                    ORDER BY ended_at DESC NULLS FIRST LIMIT 1 -- time that passes moves starts, and so their order
                )
            ) AS state
            """,
            {"user_id": user_id},
        )
        state: dict[str, Any] = row["state"]
        if session := state["session"]:
            found = [self._schedule(f"{kind}-{session['id']}") for kind in ("warn", "expire")]
            session["schedules"] = [
                {"name": each["Name"], "expression": each["ScheduleExpression"]} for each in found if each
            ]
        return state

    def let_time_pass(self, session_id: UUID, until: Moment) -> None:
        """Move a live session into the past, as if time had passed; never into the future, and never beyond its end.

        Its schedules are moved along, and cause all that happens then.
        """
        moved = self._rows(
            """
            WITH live AS (
                SELECT id, expires_at - date_trunc('second', now()) - interval '5 seconds' AS most
                FROM after_hours_sessions WHERE id = %(id)s AND ended_at IS NULL AND expires_at > now()
            ), step AS (
                SELECT id, greatest(interval '0', least(most, CASE %(until)s
                    WHEN 'end' THEN most
                    WHEN 'warning' THEN most - interval '5 minutes'
                    WHEN 'ten-minutes' THEN interval '10 minutes'
                END)) AS passed FROM live
            )
            UPDATE after_hours_sessions AS s SET
                started_at = started_at - passed, expires_at = expires_at - passed, warned_for = warned_for - passed
            FROM step WHERE s.id = step.id AND ended_at IS NULL
            RETURNING expires_at, greatest(expires_at - interval '5 minutes', now() + interval '5 seconds') AS warns_at
            """,
            {"id": str(session_id), "until": until},
        )
        for session in moved:
            # The warning comes soon if its time lies behind.
            for kind, moment in (("expire", session["expires_at"]), ("warn", session["warns_at"])):
                if schedule := self._schedule(f"{kind}-{session_id}"):
                    schedules.move(self._scheduler, schedule, moment)

    def log_of_last_call(self, function: str, since: datetime) -> tuple[list[logs.Line], str | None]:
        """Return what the function wrote in its last complete run since then, and how long the run took."""
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{self._stack.functions[function]}", startTime=int(since.timestamp() * 1000)
        )
        written: list[logs.Line] = []
        duration: str | None = None
        for event in (event for page in pages for event in page["events"]):
            text = event["message"].rstrip()
            if text.startswith("START "):
                written, duration = [], None
            elif text.startswith("REPORT "):
                duration = next(part for part in text.split("\t") if "Duration: " in part).partition("Duration: ")[2]
            elif not text.startswith(logs.PLATFORM):
                written.append(logs.Line(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), function, text))
        return (written, duration) if duration else ([], None)

    def _rows(self, statement: str, parameters: dict[str, object] | None = None) -> list[dict[str, Any]]:
        with (
            closing(self._stack.connect()) as connection,
            connection,
            connection.cursor(cursor_factory=RealDictCursor) as cursor,
        ):
            cursor.execute(statement, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def _schedule(self, name: str) -> dict[str, Any] | None:
        return schedules.find(self._scheduler, self._stack.schedule_group, name)
