"""Sessions: a member goes live for 15, 30 or 60 minutes, may extend, may end early, and is ended on time.

A session is live if and only if it was not ended and its end has not passed, on the database's clock: every statement
here says so, and nothing else decides it. Schedules make the end prompt, the sweep makes it certain.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from after_hours import access, config, domain_events, location, schedules
from after_hours.database import Database, Row
from after_hours.domain_events import EVENTS, Type, fact, recorded, utc
from after_hours.errors import NoActiveSession, ProfileRequired, ServiceUnavailable, SessionAlreadyActive
from after_hours.observability import count, left_to_sweep
from after_hours.schema import RequestModel, ResponseModel, Text

ALLOWED_MINUTES = (15, 30, 60)


def _allowed_minutes(minutes: int) -> int:
    if minutes not in ALLOWED_MINUTES:
        raise ValueError("must be 15, 30 or 60")
    return minutes


Minutes = Annotated[int, AfterValidator(_allowed_minutes), Field(json_schema_extra={"enum": list(ALLOWED_MINUTES)})]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, repr=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, repr=False)]


class DeviceFingerprint(RequestModel):
    device_id: Annotated[Text, StringConstraints(max_length=255)] | None = Field(default=None, repr=False)
    device_model: Annotated[Text, StringConstraints(max_length=100)] | None = Field(default=None, repr=False)
    platform: Annotated[Text, StringConstraints(max_length=20)] | None = Field(default=None, repr=False)


class StartSession(RequestModel):
    """`latitude` and `longitude` in degrees (WGS 84), captured once; never 0, 0, which a broken sensor reports."""

    duration: Minutes = Field(description="Minutes.")
    latitude: Latitude
    longitude: Longitude
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
    additional_minutes: Minutes = Field(description="Minutes, added to the planned end.")


class Session(ResponseModel):
    id: UUID
    started_at: datetime
    expires_at: datetime = Field(description="The planned end.")
    duration_minutes: int = Field(description="From the start to the planned end, extensions included.")
    remaining_seconds: int = Field(
        description="At the time of this answer, by the server's clock: count down from here. 0 when it is over."
    )


class EndedSession(Session):
    ended_at: datetime


class ExtendedSession(Session):
    extended_by_minutes: int = Field(description="By this call.")


_ANSWER_COLUMNS = """
    id, started_at, expires_at, ended_at, warned_for,
    round(extract(epoch FROM expires_at - started_at) / 60)::int AS duration_minutes,
    CASE WHEN ended_at IS NULL THEN greatest(0, floor(extract(epoch FROM expires_at - now())))::int ELSE 0 END
        AS remaining_seconds
"""
_LIVE = "ended_at IS NULL AND expires_at > now()"
_OVERDUE = "ended_at IS NULL AND expires_at <= now()"

# Where someone was is nobody's business once the session is over: the exact point and the fuzzed one go with it.
_END = """
    UPDATE after_hours_sessions SET
        ended_at = {moment}, latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL
    WHERE {which}
    RETURNING *
"""

_WHO = {"userId": "user_id", "sessionId": "id"}


def _ended(source: str, reason: str) -> str:
    """SQL of the events of sessions that ended: by the `user`, `expired`, or `lapsed` with an entitlement."""
    return fact(Type.SESSION_ENDED, source, **_WHO, endedAt=utc("ended_at"), reason=f"'{reason}'")


def _change(statement: str, event: str, answer: str = "") -> str:
    """SQL of one statement that changes sessions, records what happened, and returns the rows and the events."""
    return f"""
        WITH changed AS ({statement}), {recorded(event)}
        SELECT {answer or "id"}, {EVENTS} FROM changed
    """


_STARTED = fact(Type.SESSION_STARTED, "started", **_WHO, startedAt=utc("started_at"), expiresAt=utc("expires_at"))

_CURRENT = f"SELECT {_ANSWER_COLUMNS} FROM after_hours_sessions WHERE user_id = %(user_id)s AND {_LIVE}"

# One statement, so that it happens whole or not at all. The insert reads `closed`, which makes PostgreSQL close the
# expired session before it checks the unique index. The lock on the profile makes a start and the leaving of the same
# member wait for each other.
_START = f"""
    WITH profile AS (
        SELECT user_id FROM after_hours_profiles WHERE user_id = %(user_id)s FOR KEY SHARE
    ), closed AS (
        {_END.format(moment="expires_at", which=f"user_id = %(user_id)s AND {_OVERDUE}")}
    ), started AS (
        INSERT INTO after_hours_sessions
            (user_id, started_at, expires_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude)
        SELECT
            user_id, now(), now() + make_interval(mins => %(duration)s),
            %(latitude)s, %(longitude)s, %(fuzzed_latitude)s, %(fuzzed_longitude)s
        FROM profile, (SELECT count(*) FROM closed) AS closing
        ON CONFLICT (user_id) WHERE ended_at IS NULL DO NOTHING
        RETURNING *
    ), fingerprint AS (
        INSERT INTO device_fingerprints (id, user_id, session_id, device_id, device_model, platform, created_at)
        SELECT gen_random_uuid(), user_id, id, %(device_id)s, %(device_model)s, %(platform)s, now()
        FROM started
        WHERE num_nonnulls(%(device_id)s::text, %(device_model)s::text, %(platform)s::text) > 0
        ON CONFLICT DO NOTHING  -- the table may be the main app's, and keep each device once
    ), {recorded(_ended("closed", "expired"), _STARTED)}
    SELECT EXISTS (SELECT FROM profile) AS has_profile, answer.*, {EVENTS}
    FROM (VALUES (1)) AS one LEFT JOIN (SELECT {_ANSWER_COLUMNS} FROM started) AS answer ON true
"""

_EXTEND = _change(
    f"""
        UPDATE after_hours_sessions SET expires_at = expires_at + make_interval(mins => %(minutes)s)
        WHERE user_id = %(user_id)s AND {_LIVE}
        RETURNING *
    """,
    fact(Type.SESSION_EXTENDED, "changed", **_WHO, expiresAt=utc("expires_at"), extendedByMinutes="%(minutes)s"),
    _ANSWER_COLUMNS,
)

_END_BY_MEMBER = _change(
    _END.format(moment="now()", which=f"user_id = %(user_id)s AND {_LIVE}"), _ended("changed", "user"), _ANSWER_COLUMNS
)

_EXPIRE = _change(_END.format(moment="expires_at", which=f"id = %(id)s AND {_OVERDUE}"), _ended("changed", "expired"))

_EXPIRE_ALL = _change(_END.format(moment="expires_at", which=_OVERDUE), _ended("changed", "expired"))

_END_LAPSED = _change(
    _END.format(moment="now()", which=f"{_LIVE} AND {access.LAPSED.format(user_id='after_hours_sessions.user_id')}"),
    _ended("changed", "lapsed"),
)

# `warned_for` is the end the member was warned of: an extended session has another end, and is warned again.
_WARNING_DUE = f"{_LIVE} AND expires_at <= now() + %(before)s AND warned_for IS DISTINCT FROM expires_at"

_WARN = """
    UPDATE after_hours_sessions SET warned_for = expires_at WHERE {which} RETURNING *
"""
_EXPIRING = fact(Type.SESSION_EXPIRING, "changed", **_WHO, expiresAt=utc("expires_at"))

_WARN_ONE = _change(_WARN.format(which=f"id = %(id)s AND {_WARNING_DUE}"), _EXPIRING)

_WARN_ALL = _change(_WARN.format(which=_WARNING_DUE), _EXPIRING)

_LIVE_BY_ID = f"SELECT id, expires_at, warned_for FROM after_hours_sessions WHERE id = %(id)s AND {_LIVE}"

_ALL_LIVE = (
    f"SELECT id, expires_at, expires_at - %(before)s > now() AS warning_ahead FROM after_hours_sessions WHERE {_LIVE}"
)

_FORGET = """
    UPDATE after_hours_sessions SET
        latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL
    WHERE ended_at IS NOT NULL AND num_nonnulls(latitude, longitude, fuzzed_latitude, fuzzed_longitude) > 0
    RETURNING id
"""


def start(database: Database, user_id: str, new: StartSession) -> Session:
    """Make the member live, from one place, for `new.duration` minutes.

    Of any number of simultaneous starts by one member exactly one succeeds. Raises `ProfileRequired`, or
    `SessionAlreadyActive` with the live session.
    """
    seen = location.fuzz(
        new.latitude, new.longitude, user_id=user_id, key=config.app_secret.read().location_key.encode()
    )
    device = new.device_fingerprint or DeviceFingerprint()
    parameters = {
        "user_id": user_id,
        "duration": new.duration,
        "latitude": new.latitude,
        "longitude": new.longitude,
        "fuzzed_latitude": seen.latitude,
        "fuzzed_longitude": seen.longitude,
        **device.model_dump(),
    }
    for _ in range(2):  # again, once, if the session in the way ended between the two statements
        row = database.fetch_one(_START, parameters)
        if row is None or not row["has_profile"]:
            raise ProfileRequired
        if row["id"] is not None:
            session = Session.model_validate(row)
            count("SessionsStarted")
            _schedule(session.id, session.expires_at)
            domain_events.publish(database, row["events"])
            return session
        if live := current(database, user_id):
            raise SessionAlreadyActive(session=live)
    raise ServiceUnavailable("the member's sessions change faster than they can be read")


def current(database: Database, user_id: str) -> Session | None:
    """Return the member's live session, if there is one."""
    row = database.fetch_one(_CURRENT, {"user_id": user_id})
    return Session.model_validate(row) if row else None


def extend(database: Database, user_id: str, extension: ExtendSession) -> ExtendedSession:
    """Move the end of the live session; simultaneous extensions add up. Raises `NoActiveSession`."""
    minutes = extension.additional_minutes
    row = _live(database.fetch_one(_EXTEND, {"user_id": user_id, "minutes": minutes}))
    session = ExtendedSession.model_validate(row | {"extended_by_minutes": minutes})
    count("SessionsExtended")
    _schedule(session.id, session.expires_at)
    domain_events.publish(database, row["events"])
    return session


def end(database: Database, user_id: str) -> EndedSession:
    """End the live session now and erase where it was. Raises `NoActiveSession`."""
    row = _live(database.fetch_one(_END_BY_MEMBER, {"user_id": user_id}))
    session = EndedSession.model_validate(row)
    count("SessionsEnded")
    unschedule(session.id)
    domain_events.publish(database, row["events"])
    return session


def expire(database: Database, session_id: UUID) -> Literal["expired", "rescheduled", "ignored"]:
    """Do what an expiry event asks for, if it is time: end the session, with its planned end.

    A session that was extended meanwhile is scheduled again; one that ended, or is not known, is left alone.
    """
    if _changed(database, _EXPIRE, {"id": session_id}):
        count("SessionsExpired")
        return "expired"
    row = database.fetch_one(_LIVE_BY_ID, {"id": session_id})
    if row is None:
        return "ignored"
    schedules.put(schedules.expiry(session_id, row["expires_at"]))
    return "rescheduled"


def warn(database: Database, session_id: UUID) -> Literal["warned", "rescheduled", "ignored"]:
    """Do what a warning event asks for, if it is time and was not done: the session ends within five minutes."""
    if _changed(database, _WARN_ONE, {"id": session_id, "before": schedules.WARNING_BEFORE}):
        count("SessionsExpiring")
        return "warned"
    row = database.fetch_one(_LIVE_BY_ID, {"id": session_id})
    if row is None or row["warned_for"] == row["expires_at"]:
        return "ignored"
    schedules.put(schedules.warning(session_id, row["expires_at"]))
    return "rescheduled"


def expire_overdue(database: Database) -> int:
    """End every session whose end has passed. Returns how many there were."""
    expired = _changed(database, _EXPIRE_ALL)
    count("SessionsExpired", expired)
    return expired


def end_lapsed(database: Database) -> int:
    """End the live sessions of members who may no longer use After Hours. Returns how many there were."""
    ended = _changed(database, _END_LAPSED)
    count("SessionsLapsed", ended)
    return ended


def warn_due(database: Database) -> int:
    """Warn every session that ends within five minutes and was not warned. Returns how many there were."""
    warned = _changed(database, _WARN_ALL, {"before": schedules.WARNING_BEFORE})
    count("SessionsExpiring", warned)
    return warned


def forget_locations(database: Database) -> int:
    """Erase locations that ended sessions still have (an earlier backend left them). Returns how many had one."""
    return len(database.fetch_all(_FORGET))


def unschedule(session_id: UUID) -> None:
    """Delete the schedules of a session that is over, or leave it to the sweep."""
    with left_to_sweep(schedules.FAULTS):
        for kind in schedules.Kind:
            schedules.delete(schedules.name(kind, session_id))


def repair_schedules(database: Database) -> schedules.Repair:
    """Make the schedules in EventBridge Scheduler those of the live sessions. Raises `SchedulerUnavailable`."""
    existing = schedules.names()  # before the sessions are read: see reconcile
    wanted = []
    for row in database.fetch_all(_ALL_LIVE, {"before": schedules.WARNING_BEFORE}):
        wanted.append(schedules.expiry(row["id"], row["expires_at"]))
        if row["warning_ahead"]:
            wanted.append(schedules.warning(row["id"], row["expires_at"]))
    return schedules.reconcile(existing, wanted)


def _live(row: Row | None) -> Row:
    if row is None:
        raise NoActiveSession
    return row


def _changed(database: Database, change: str, parameters: Mapping[str, object] | None = None) -> int:
    """Make a change, publish what happened, and return how many sessions it was."""
    rows = database.fetch_all(change, parameters)
    if rows:
        domain_events.publish(database, rows[0]["events"])
    return len(rows)


def _schedule(session_id: UUID, expires_at: datetime) -> None:
    with left_to_sweep(schedules.FAULTS):
        schedules.put(schedules.expiry(session_id, expires_at))
        schedules.put(schedules.warning(session_id, expires_at))
