"""A member's photo: reading it and its newest upload, and deleting it everywhere. `uploads` makes it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from after_hours.entrypoints.access import Read
from after_hours.entrypoints.errors import PhotoNotFound, ProfileNotFound
from after_hours.entrypoints.schema import ResponseModel
from after_hours.foundation import storage
from after_hours.foundation.database import Database, Row
from after_hours.foundation.observability import count
from after_hours.images.rejection import Reason
from after_hours.outbox import relay

type Status = Literal["none", "pending", "processing", "ready", "rejected", "failed"]
type FailureReason = Literal["UPLOAD_TIMED_OUT", "PROCESSING_FAILED"]  # no file arrived in time; processing it failed

PhotoUrl = Annotated[
    str | None,
    Field(
        description="Valid for at least two hours. The address stays the same for up to an hour, so that caches can "
        "use it."
    ),
]
ThumbnailUrl = Annotated[str | None, Field(description="The same photo, small. Valid as `photoUrl` is.")]


class Photo(ResponseModel):
    """The newest upload, and the photo that is shown meanwhile: an older one, unless `status` is `ready`."""

    photo_id: UUID | None = Field(description="Of the newest upload; null when there is none.")
    status: Status = Field(
        description="Of the newest upload: `none`, there is no upload; `pending`, the file has not arrived; "
        "`processing`; `ready`, the photo is shown; `rejected`, the file is not acceptable; `failed`, try again."
    )
    reason: Reason | FailureReason | None = Field(description="Why the status is rejected or failed.")
    photo_url: PhotoUrl
    thumbnail_url: ThumbnailUrl
    requested_at: datetime | None = Field(description="When the newest upload was asked for.")


_READ = """
    SELECT
        member.premium, member.verified, member.consenting,
        shown.user_id, shown.photo_key, shown.photo_number, shown.photo_id, shown.reason, shown.requested_at,
        shown.photo_status AS status
    FROM after_hours_entitlements(%(user_id)s) AS member
        LEFT JOIN after_hours_shown_photos shown ON shown.user_id = %(user_id)s
"""

# The statement takes the photo off the profile and cancels each upload that could still become one. A function that is
# processing such an upload finds out when it settles it, and then deletes the objects that it made.
_DELETE = """
    SELECT after_hours_lock_member(%(user_id)s);
    SELECT FROM after_hours_profiles WHERE user_id = %(user_id)s FOR UPDATE;
    WITH previous AS (
        SELECT photo_url FROM after_hours_profiles WHERE user_id = %(user_id)s AND photo_url <> ''
    ), cleared AS (
        UPDATE after_hours_profiles a SET
            photo_url = '', photo_number = NULL, photo_hash = NULL, updated_at = now()
        FROM previous WHERE a.user_id = %(user_id)s
        RETURNING a.user_id
    ), cancelled AS (
        UPDATE after_hours_photo_uploads SET status = 'removed', reason = NULL, changed_at = now()
        WHERE user_id = %(user_id)s AND status IN ('pending', 'processing', 'failed')
        RETURNING id, user_id
    ), deleted AS (
        SELECT FROM cleared UNION ALL SELECT FROM cancelled
    ), settled AS (
        UPDATE after_hours_photo_uploads SET status = 'removed', reason = NULL, changed_at = now()
        WHERE user_id = %(user_id)s AND status IN ('ready', 'rejected') AND EXISTS (SELECT FROM deleted)
    ), unwanted AS (
        SELECT object.store, object.key FROM previous, after_hours_photo_objects(previous.photo_url) AS object
        UNION SELECT 'uploads', after_hours_upload_key(user_id, id) FROM cancelled
    ), deletions AS (
        SELECT task FROM (SELECT array_agg(store) AS stores, array_agg(key) AS keys FROM unwanted) AS objects,
            after_hours_put_deletions(objects.stores, objects.keys) AS task
    )
    SELECT EXISTS (SELECT FROM deleted) AS deleted, (SELECT jsonb_agg(task) FROM deletions) AS deletions
"""


def delete(database: Database, user_id: str) -> None:
    """Delete the photo, and cancel the uploads that could still become one. Raises `PhotoNotFound`."""
    row = database.fetch_one(_DELETE, {"user_id": user_id})
    if not row["deleted"]:
        raise PhotoNotFound
    count("PhotosDeleted")
    relay.do_now(database, row["deletions"] or ())


def urls(row: Row) -> dict[str, str | None]:
    """Return the addresses of photo and thumbnail, by `photo_key` and `photo_number` of after_hours_shown_photos.

    A photo of the earlier backend has no number and no thumbnail: its address stands for both.
    """
    key = row["photo_key"]
    if not key:
        return {"photo_url": None, "thumbnail_url": None}
    thumbnail = key if row["photo_number"] is None else f"{key.removesuffix('.jpg')}_thumb.jpg"
    return {"photo_url": storage.photo_address(key), "thumbnail_url": storage.photo_address(thumbnail)}


def _newest(row: Row) -> Photo:
    if row["user_id"] is None:
        raise ProfileNotFound
    return Photo.model_validate(row | urls(row))


# Reads the newest upload and the photo that is shown; raises `ProfileNotFound`.
read = Read(_READ, lambda rows: _newest(rows[0]))
