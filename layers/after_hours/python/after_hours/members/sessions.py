"""Sessions: a member goes live for 15, 30 or 60 minutes, can extend or end the session, and it ends by itself.

A session is live if and only if `ended_at` is null and `expires_at` is after the database's now(). Nothing else decides
it. Schedules make the end prompt; the sweep makes it certain. Before `start` and `extend`, the endpoint checks access.

The exact position is never stored: `start` computes the fuzzed point and drops the position. The end of the session
erases the fuzzed point; a CHECK refuses an ended session that has one.
"""

import math
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from after_hours.entrypoints import access
from after_hours.entrypoints.access import Read
from after_hours.entrypoints.errors import (
    NoActiveSession,
    ProfileRequired,
    SessionAlreadyActive,
    SessionChanged,
    SessionTooLong,
    TooManyStarts,
)
from after_hours.entrypoints.schema import Moment, RequestModel, ResponseModel, Text, Whole
from after_hours.foundation import secrets
from after_hours.foundation.database import Database, Row
from after_hours.foundation.faults import ServiceUnavailable
from after_hours.foundation.observability import count, measure_seconds
from after_hours.members import location
from after_hours.outbox import relay, schedules
from after_hours.outbox.schedules import WARNING_BEFORE, Change, ScheduleKind

ALLOWED_MINUTES = (15, 30, 60)


def _allowed_minutes(minutes: int) -> int:
    if minutes not in ALLOWED_MINUTES:
        raise ValueError("must be 15, 30 or 60")
    return minutes


Minutes = Annotated[
    int, AfterValidator(_allowed_minutes), Field(json_schema_extra={"enum": list(ALLOWED_MINUTES)}), Whole
]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, repr=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, repr=False)]


class DeviceFingerprint(RequestModel):
    """What a phone says about itself."""

    device_id: Annotated[Text, StringConstraints(max_length=255)] | None = Field(
        default=None, repr=False, description="The phone's own identifier."
    )
    device_model: Annotated[Text, StringConstraints(max_length=100)] | None = Field(
        default=None, repr=False, description="Such as `Pixel 9`."
    )
    platform: Annotated[Text, StringConstraints(max_length=20)] | None = Field(
        default=None, repr=False, description="Such as `android`."
    )


class StartSession(RequestModel):
    """`latitude` and `longitude` in degrees (WGS 84), captured once; never 0, 0, which a broken sensor reports."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"properties": {"latitude": {"const": 0}, "longitude": {"const": 0}}}}
    )

    duration: Minutes = Field(description="Minutes.")
    latitude: Latitude = Field(description="Degrees north. Never stored, never shown.")
    longitude: Longitude = Field(description="Degrees east. Never stored, never shown.")
    device_fingerprint: DeviceFingerprint | None = Field(
        default=None, description="What the phone says about itself; every part may be left out."
    )

    @model_validator(mode="after")
    def _not_null_island(self) -> "StartSession":
        if self.latitude == 0 and self.longitude == 0:
            nowhere = PydanticCustomError("null_island", "A location is required: 0, 0 is not where anyone is")
            raise ValidationError.from_exception_data(
                "null island", [{"type": nowhere, "loc": (field,), "input": 0} for field in ("latitude", "longitude")]
            )
        return self


class ExtendSession(RequestModel):
    """`expiresAt` is the end that the member saw, as a time with a UTC offset: the session must still end then."""

    additional_minutes: Minutes = Field(description="Minutes, added to the planned end.")
    expires_at: Moment | None = Field(
        default=None,
        description="The end that the member saw, so that a call repeated after a lost answer extends once only: when "
        "the session's end differs by a second or more, nothing is changed, and 409 SESSION_CHANGED carries it. Whole "
        "seconds, rounded up or down, will do.",
    )


class Session(ResponseModel):
    """A time in which the member is live."""

    id: UUID = Field(description="As domain events name it.")
    started_at: datetime = Field(description="When the member went live.")
    expires_at: datetime = Field(description="The planned end.")
    duration_minutes: int = Field(description="From the start to the planned end, extensions included.")
    remaining_seconds: int = Field(
        description="At the time of this response: count down from here. 0 when the session is over."
    )

    @classmethod
    def of(cls, row: Row, **further: object) -> Self:
        """Build it from a row with `id`, `started_at`, `expires_at` and `read_at`, when it was read."""
        remaining = math.floor((row["expires_at"] - row["read_at"]).total_seconds())
        return cls.model_validate(
            {
                **row,
                "duration_minutes": round((row["expires_at"] - row["started_at"]).total_seconds() / 60),
                "remaining_seconds": 0 if row.get("ended_at") else max(0, remaining),
                **further,
            }
        )


class EndedSession(Session):
    """A session that is over."""

    ended_at: datetime = Field(description="Not after `expiresAt`.")


class ExtendedSession(Session):
    """A session with a later end than before."""

    extended_by_minutes: int = Field(description="By this call.")


_CURRENT = """
    SELECT
        member.premium, member.verified, member.consenting,
        live.id, live.started_at, live.expires_at, now() AS read_at
    FROM after_hours_entitlements(%(user_id)s) AS member
        LEFT JOIN after_hours_sessions live
        ON live.user_id = %(user_id)s AND live.ended_at IS NULL AND live.expires_at > now()
"""

# Each statement has its own snapshot (READ COMMITTED), so the last one sees what other transactions committed while the
# first two waited for their locks. Releases before the function after_hours_lock_member lock the profile alone. The
# INSERT reads `overdue`, so PostgreSQL closes the expired session before the unique index looks for another open one.
_START = """
    SELECT after_hours_lock_member(%(user_id)s);
    SELECT FROM after_hours_profiles WHERE user_id = %(user_id)s FOR NO KEY UPDATE;
    WITH profile AS (
        SELECT user_id FROM after_hours_profiles WHERE user_id = %(user_id)s
    ), live AS (
        SELECT id, started_at, expires_at FROM after_hours_sessions
        WHERE user_id = %(user_id)s AND ended_at IS NULL AND expires_at > now()
    ), twelfth AS (
        SELECT started_at + interval '1 hour' - now() AS wait FROM after_hours_sessions
        WHERE user_id = %(user_id)s AND started_at > now() - interval '1 hour'
        ORDER BY started_at DESC OFFSET 11 LIMIT 1
    ), overdue AS (
        SELECT event FROM after_hours_end_sessions(
            ARRAY(
                SELECT id FROM after_hours_sessions
                WHERE user_id = %(user_id)s AND ended_at IS NULL AND expires_at <= now()
            ),
            'expired'
        )
    ), started AS (
        INSERT INTO after_hours_sessions (user_id, started_at, expires_at, fuzzed_latitude, fuzzed_longitude)
        SELECT user_id, now(), now() + make_interval(mins => %(duration)s), %(fuzzed_latitude)s, %(fuzzed_longitude)s
        FROM profile, (SELECT count(*) FROM overdue) AS closing
        WHERE NOT EXISTS (SELECT FROM live) AND NOT EXISTS (SELECT FROM twelfth)
        ON CONFLICT (user_id) WHERE ended_at IS NULL DO NOTHING
        RETURNING id, user_id, started_at, expires_at, after_hours_put_event(
            'SessionStarted',
            jsonb_build_object(
                'userId', user_id, 'sessionId', id,
                'startedAt', after_hours_utc(started_at), 'expiresAt', after_hours_utc(expires_at)
            )
        ) AS event
    ), device AS (
        INSERT INTO device_fingerprints (id, user_id, session_id, device_id, device_model, platform, created_at)
        SELECT gen_random_uuid(), user_id, id, %(device_id)s, %(device_model)s, %(platform)s, now()
        FROM started
        WHERE num_nonnulls(%(device_id)s::varchar, %(device_model)s::varchar, %(platform)s::varchar) > 0
        ON CONFLICT DO NOTHING  -- the table may be the main app's, and keep each device once
    )
    SELECT
        EXISTS (SELECT FROM profile) AS has_profile,
        (SELECT ceil(extract(epoch FROM wait))::int FROM twelfth) AS retry_after_seconds,
        live.id IS NOT NULL AS was_live, started.id IS NOT NULL AS started,
        coalesce(started.id, live.id) AS id, coalesce(started.started_at, live.started_at) AS started_at,
        coalesce(started.expires_at, live.expires_at) AS expires_at, now() AS read_at,
        (SELECT event FROM overdue) AS ended, started.event
    FROM users LEFT JOIN live ON true LEFT JOIN started ON true
    WHERE users.id = %(user_id)s
"""

# The lock makes simultaneous extensions run one after another, so each is checked against the end that the previous one
# set. A difference of less than a second from the end that the member saw is the client's rounding, since the ends that
# one session has had are at least 15 minutes apart.
_EXTEND = """
    SELECT FROM after_hours_sessions WHERE user_id = %(user_id)s AND ended_at IS NULL FOR NO KEY UPDATE;
    WITH live AS (
        SELECT
            id, started_at, expires_at,
            abs(extract(epoch FROM expires_at - coalesce(%(seen)s::timestamptz, expires_at))) < 1 AS as_seen,
            expires_at + make_interval(mins => %(minutes)s) <= now() + interval '6 hours' AS short_enough
        FROM after_hours_sessions WHERE user_id = %(user_id)s AND ended_at IS NULL AND expires_at > now()
    ), extended AS (
        UPDATE after_hours_sessions s SET
            expires_at = s.expires_at + make_interval(mins => %(minutes)s)
        FROM live WHERE s.id = live.id AND live.as_seen AND live.short_enough
        RETURNING s.id, s.expires_at, after_hours_put_event(
            'SessionExtended',
            jsonb_build_object(
                'userId', s.user_id, 'sessionId', s.id,
                'expiresAt', after_hours_utc(s.expires_at), 'extendedByMinutes', %(minutes)s
            )
        ) AS event
    )
    SELECT
        live.id, live.started_at, coalesce(extended.expires_at, live.expires_at) AS expires_at, now() AS read_at,
        live.as_seen, extended.id IS NOT NULL AS extended,
        extended.event
    FROM live LEFT JOIN extended ON true
"""

_END = """
    SELECT id, started_at, expires_at, ended_at, now() AS read_at, event FROM after_hours_end_sessions(
        ARRAY(
            SELECT id FROM after_hours_sessions
            WHERE user_id = %(user_id)s AND ended_at IS NULL AND expires_at > now()
        ),
        'user'
    )
"""

_EXPIRE = """
    SELECT extract(epoch FROM now() - expires_at)::float AS lag, event
    FROM after_hours_end_sessions(ARRAY[%(id)s::uuid], 'expired')
"""

# `warned_for` is the end that the member was warned of. An extended session has another end, so there is a new warning.
_WARN = """
    UPDATE after_hours_sessions SET warned_for = expires_at
    WHERE id = %(id)s AND ended_at IS NULL AND expires_at > now() AND expires_at <= now() + %(warning_before)s
        AND warned_for IS DISTINCT FROM expires_at
    RETURNING after_hours_put_event(
        'SessionExpiring',
        jsonb_build_object('userId', user_id, 'sessionId', id, 'expiresAt', after_hours_utc(expires_at))
    ) AS event
"""

_LIVE_BY_ID = """
    SELECT expires_at, warned_for IS NOT DISTINCT FROM expires_at AS warned FROM after_hours_sessions
    WHERE id = %(id)s AND ended_at IS NULL AND expires_at > now()
"""


def start(database: Database, user_id: str, new: StartSession) -> Session:
    """Start a session of `new.duration` minutes at the fuzzed point of `new`'s position.

    Of simultaneous starts by one member exactly one succeeds. Raises `ProfileRequired`, `SessionAlreadyActive` with the
    live session, `TooManyStarts` after twelve in an hour, and what `access.change` raises.

    For example:
        start(database, "user-1", StartSession(duration=30, latitude=52.52, longitude=13.405)).remaining_seconds  # 1800
    """
    shown = location.fuzz(
        new.latitude, new.longitude, user_id=user_id, key=secrets.location_secret.read().location_key.encode()
    )
    device = new.device_fingerprint or DeviceFingerprint()
    row = access.change(
        database,
        _START,
        {
            "user_id": user_id,
            "duration": new.duration,
            "fuzzed_latitude": shown.latitude,
            "fuzzed_longitude": shown.longitude,
            **device.model_dump(),
        },
    )
    if not row["has_profile"]:
        raise ProfileRequired
    if row["was_live"]:
        raise SessionAlreadyActive(session=Session.of(row))
    if row["retry_after_seconds"] is not None:
        raise TooManyStarts(retry_after_seconds=row["retry_after_seconds"])
    if not row["started"]:
        raise ServiceUnavailable("a release before this one started a session at the same moment")
    count("SessionsStarted")
    event = row["event"]
    to_schedule = schedules.task_of(row["id"], event["version"], row["expires_at"], new=True)
    relay.do_now(database, [*filter(None, [row["ended"]]), event, to_schedule])
    return Session.of(row)


def _live(row: Row) -> Session | None:
    return Session.of(row) if row["id"] else None


current = Read(_CURRENT, lambda rows: _live(rows[0]))  # reads the live session, or None


def extend(database: Database, user_id: str, extension: ExtendSession) -> ExtendedSession:
    """Add minutes to the end of the live session. Simultaneous extensions add up.

    Raises `NoActiveSession`, `SessionChanged` when the session does not end at `extension.expires_at`, and
    `SessionTooLong` when it would end more than six hours from now. The last two carry the session.

    For example:
        extend(database, "user-1", ExtendSession(additionalMinutes=15)).extended_by_minutes  # 15
    """
    minutes = extension.additional_minutes
    row = database.find_one(_EXTEND, {"user_id": user_id, "minutes": minutes, "seen": extension.expires_at})
    if row is None:
        raise NoActiveSession
    if not row["extended"]:
        raise (SessionTooLong if row["as_seen"] else SessionChanged)(session=Session.of(row))
    count("SessionsExtended")
    event = row["event"]
    relay.do_now(database, [event, schedules.task_of(row["id"], event["version"], row["expires_at"])])
    return ExtendedSession.of(row, extended_by_minutes=minutes)


def end(database: Database, user_id: str) -> EndedSession:
    """End the live session now, and erase its place. Raises `NoActiveSession`."""
    row = database.find_one(_END, {"user_id": user_id})
    if row is None:
        raise NoActiveSession
    count("SessionsEnded")
    relay.do_now(database, [row["event"], schedules.task_of(row["id"], row["event"]["version"], None)])
    return EndedSession.of(row)


def expire(database: Database, session_id: UUID) -> Literal["expired", "rescheduled", "ignored"]:
    """Handle an expiry event: end the session as of its planned end, if that has passed.

    A session that was extended is scheduled again. One that has ended or is unknown is ignored.
    """
    if expired := database.find_one(_EXPIRE, {"id": session_id}):
        count("SessionsExpired")
        measure_seconds("ExpiryLagSeconds", [expired["lag"]])
        relay.do_now(database, [expired["event"]])
        return "expired"
    return _reschedule(database, session_id, ScheduleKind.EXPIRY)


def warn(database: Database, session_id: UUID) -> Literal["warned", "rescheduled", "ignored"]:
    """Handle a warning event: publish SessionExpiring in the last five minutes, once for each end of a session."""
    if warned := database.find_one(_WARN, {"id": session_id, "warning_before": WARNING_BEFORE}):
        count("SessionsExpiring")
        relay.do_now(database, [warned["event"]])
        return "warned"
    return _reschedule(database, session_id, ScheduleKind.WARNING)


def _reschedule(database: Database, session_id: UUID, kind: ScheduleKind) -> Literal["rescheduled", "ignored"]:
    live = database.find_one(_LIVE_BY_ID, {"id": session_id})
    if live is None or (kind is ScheduleKind.WARNING and live["warned"]):
        return "ignored"
    at = live["expires_at"] - (WARNING_BEFORE if kind is ScheduleKind.WARNING else timedelta())
    schedules.carry_out(Change(str(session_id), kind, at, new=True))  # new: the schedule that fired is deleted
    return "rescheduled"
