"""A member's After Hours profile: a short text of its own; name and age are the main profile's, on every answer."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from after_hours import domain_events, photos, removals, sessions
from after_hours.database import Database, Row
from after_hours.domain_events import EVENTS, Type, fact, recorded, utc
from after_hours.errors import ProfileExists, ProfileNotFound
from after_hours.observability import count
from after_hours.schema import Patch, RequestModel, ResponseModel, Text

MAX_DESCRIPTION = 500  # code points


def _description(text: str) -> str | None:
    trimmed = text.strip()
    if len(trimmed) > MAX_DESCRIPTION:
        raise ValueError(f"must have at most {MAX_DESCRIPTION} characters")
    return trimmed or None


type Description = Annotated[Text, AfterValidator(_description)] | None


class CreateProfile(RequestModel):
    """`description` is trimmed; null and text of only white space mean none."""

    description: Description = Field(default=None, description=f"At most {MAX_DESCRIPTION} characters after trimming.")


class UpdateProfile(CreateProfile, Patch):
    """What is absent stays, what is null is cleared."""


class Profile(ResponseModel):
    user_id: str
    name: str | None = Field(description="From the main profile, as it is now.")
    age: int | None = Field(description="From the main profile, as it is now.")
    description: str | None
    photo_url: photos.PhotoUrl
    thumbnail_url: photos.ThumbnailUrl
    photo_status: photos.Status = Field(description="Of the newest upload.")
    created_at: datetime
    updated_at: datetime


# `{changed}` is the table itself or a statement that returns its rows.
_WITH_MAIN_PROFILE = f"""
    SELECT a.user_id, p.name, p.age, a.description, a.created_at, a.updated_at, {photos.SHOWN}
    FROM {{changed}} a LEFT JOIN profiles p ON p.user_id = a.user_id {photos.NEWEST_UPLOAD}
"""

_READ = _WITH_MAIN_PROFILE.format(changed="after_hours_profiles") + "WHERE a.user_id = %(user_id)s"

_CREATE = """
    WITH created AS (
        INSERT INTO after_hours_profiles (user_id, description) VALUES (%(user_id)s, %(description)s)
        ON CONFLICT (user_id) DO NOTHING
        RETURNING *
    )
""" + _WITH_MAIN_PROFILE.format(changed="created")

_UPDATE = """
    WITH updated AS (
        UPDATE after_hours_profiles SET description = %(description)s, updated_at = now()
        WHERE user_id = %(user_id)s
        RETURNING *
    )
""" + _WITH_MAIN_PROFILE.format(changed="updated")


_ENDED = fact(
    Type.SESSION_ENDED,
    "open",
    userId="user_id",
    sessionId="id",
    endedAt=utc("least(expires_at, now())"),
    reason="CASE WHEN expires_at > now() THEN 'profile_deleted' ELSE 'expired' END",
)

# A start of the same member that is under way finishes first, and its session is ended; one that comes later finds no
# profile. The photo's objects are put among the removals by a trigger, for the main app may delete a profile as well.
_DELETE = f"""
    {photos.LOCK_PROFILE}
    WITH profile AS (
        DELETE FROM after_hours_profiles WHERE user_id = %(user_id)s RETURNING user_id, photo_url
    ), preferences AS (
        DELETE FROM after_hours_preferences p USING profile WHERE p.user_id = profile.user_id
    ), fingerprints AS (
        DELETE FROM device_fingerprints f USING profile, after_hours_sessions s
        WHERE s.user_id = profile.user_id AND f.session_id = s.id
    ), sessions AS (
        DELETE FROM after_hours_sessions s USING profile WHERE s.user_id = profile.user_id RETURNING s.*
    ), open AS (
        SELECT * FROM sessions WHERE ended_at IS NULL
    ), uploads AS (
        DELETE FROM after_hours_photo_uploads u USING profile WHERE u.user_id = profile.user_id RETURNING u.*
    ), originals AS (
        INSERT INTO after_hours_removals (store, key) SELECT 'uploads', {photos.ORIGINAL} FROM uploads
        WHERE status IN ('pending', 'processing', 'failed')
        ORDER BY 1, 2
        ON CONFLICT (store, key) DO UPDATE SET due_at = now()
        RETURNING store, key, due_at
    ), removals AS (
        SELECT * FROM originals
        UNION ALL SELECT object.*, now() FROM profile, after_hours_photo_objects(profile.photo_url) AS object
    ), {recorded(_ENDED)}
    SELECT
        (SELECT array_agg(id::text) FROM open) AS open_sessions,
        (SELECT json_agg(removals) FROM removals) AS removals,
        {EVENTS}
    FROM profile
"""


def create(database: Database, user_id: str, new: CreateProfile) -> Profile:
    """Create the member's profile. Raises `ProfileExists`."""
    row = database.fetch_one(_CREATE, {"user_id": user_id, "description": new.description})
    if row is None:
        raise ProfileExists
    return _profile(row)


def read(database: Database, user_id: str) -> Profile:
    """Return the member's profile. Raises `ProfileNotFound`."""
    return _found(database.fetch_one(_READ, {"user_id": user_id}))


def update(database: Database, user_id: str, changes: UpdateProfile) -> Profile:
    """Change what was sent and nothing else. Raises `ProfileNotFound`."""
    return _found(database.fetch_one(_UPDATE, {"user_id": user_id, "description": changes.description}))


def delete(database: Database, user_id: str) -> None:
    """Let the member leave: the live session ends, and nothing of the member remains. Raises `ProfileNotFound`.

    What lies outside the database, schedules and photos, is removed after it, and by the sweep what then fails.
    """
    row = database.fetch_one(_DELETE, {"user_id": user_id})
    if row is None:
        raise ProfileNotFound
    count("ProfilesDeleted")
    for session_id in row["open_sessions"] or ():
        sessions.unschedule(UUID(session_id))
    domain_events.publish(database, row["events"])
    removals.carry_out(database, row["removals"] or ())


def _found(row: Row | None) -> Profile:
    if row is None:
        raise ProfileNotFound
    return _profile(row)


def _profile(row: Row) -> Profile:
    return Profile.model_validate(row | photos.urls(row))
