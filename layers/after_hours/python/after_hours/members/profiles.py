"""A member's After Hours profile: a text and a photo. Name and age are read from the main profile each time."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from after_hours.entrypoints import access
from after_hours.entrypoints.access import Read
from after_hours.entrypoints.errors import ProfileExists, ProfileNotFound
from after_hours.entrypoints.schema import Patch, RequestModel, ResponseModel, Text
from after_hours.foundation.database import Database, Row
from after_hours.members import photos

MAX_DESCRIPTION = 500  # code points


def _description(text: str) -> str | None:
    trimmed = text.strip()
    if len(trimmed) > MAX_DESCRIPTION:
        raise ValueError(f"must have at most {MAX_DESCRIPTION} characters")
    return trimmed or None


Description = (
    Annotated[Text, AfterValidator(_description), Field(json_schema_extra={"maxLength": MAX_DESCRIPTION})] | None
)


class CreateProfile(RequestModel):
    """`description` is trimmed; null and text of only white space mean none."""

    description: Description = Field(
        default=None, description=f"For others to read. At most {MAX_DESCRIPTION} characters after trimming."
    )


class UpdateProfile(CreateProfile, Patch):
    """An absent field keeps its value; null clears it."""


class Profile(ResponseModel):
    """What other members see of the member, and the state of the newest upload."""

    user_id: str = Field(description="As in the main app.")
    name: str | None = Field(description="From the main profile, as it is now.")
    age: int | None = Field(description="From the main profile, as it is now.")
    description: str | None = Field(description="The member's own text; null for none.")
    photo_url: photos.PhotoUrl
    thumbnail_url: photos.ThumbnailUrl
    photo_status: photos.Status = Field(description="Of the newest upload.")
    created_at: datetime = Field(description="When the member joined After Hours.")
    updated_at: datetime = Field(description="When the text or the photo last changed.")


_READ = """
    SELECT
        member.premium, member.verified, member.consenting,
        a.user_id, main.name, main.age, a.description, a.created_at, a.updated_at,
        shown.photo_key, shown.photo_number, shown.photo_status
    FROM after_hours_entitlements(%(user_id)s) AS member
        LEFT JOIN after_hours_profiles a ON a.user_id = %(user_id)s
        LEFT JOIN after_hours_shown_photos shown ON shown.user_id = %(user_id)s
        LEFT JOIN profiles main ON main.user_id = %(user_id)s
"""

# A new profile has no photo, since leaving marks the uploads of an earlier profile as removed.
_CREATE = """
    SELECT after_hours_lock_member(%(user_id)s);
    WITH created AS (
        INSERT INTO after_hours_profiles (user_id, description)
        SELECT id, %(description)s FROM users WHERE id = %(user_id)s
        ON CONFLICT (user_id) DO NOTHING
        RETURNING *
    )
    SELECT
        a.user_id, main.name, main.age, a.description, a.created_at, a.updated_at,
        '' AS photo_key, NULL AS photo_number, 'none' AS photo_status
    FROM users
        LEFT JOIN created a ON true
        LEFT JOIN profiles main ON main.user_id = users.id
    WHERE users.id = %(user_id)s
"""

_UPDATE = """
    WITH updated AS (
        UPDATE after_hours_profiles SET description = %(description)s, updated_at = now()
        WHERE user_id = %(user_id)s
        RETURNING *
    )
    SELECT
        a.user_id, main.name, main.age, a.description, a.created_at, a.updated_at,
        shown.photo_key, shown.photo_number, shown.photo_status
    FROM updated a
        JOIN after_hours_shown_photos shown ON shown.user_id = a.user_id
        LEFT JOIN profiles main ON main.user_id = a.user_id
"""


def create(database: Database, user_id: str, new: CreateProfile) -> Profile:
    """Create the member's profile. Raises `ProfileExists`, and what `access.change` raises."""
    row = access.change(database, _CREATE, {"user_id": user_id, "description": new.description})
    if row["user_id"] is None:
        raise ProfileExists
    return _profile(row)


def update(database: Database, user_id: str, changes: UpdateProfile) -> Profile:
    """Change the text. Raises `ProfileNotFound`."""
    row = database.find_one(_UPDATE, {"user_id": user_id, "description": changes.description})
    if row is None:
        raise ProfileNotFound
    return _profile(row)


def _found(row: Row) -> Profile:
    if row["user_id"] is None:
        raise ProfileNotFound
    return _profile(row)


def _profile(row: Row) -> Profile:
    return Profile.model_validate(row | photos.urls(row))


read = Read(_READ, lambda rows: _found(rows[0]))  # raises `ProfileNotFound`
