"""The life of an upload: the phone requests it and sends a file to S3; process_photo claims, processes, settles it.

Of several uploads the newest request wins, in whatever order they finish. An upload that is rejected or fails leaves
the previous photo in place.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pydantic import Field

from after_hours.entrypoints import access
from after_hours.entrypoints.errors import ProfileNotFound, TooManyUploads
from after_hours.entrypoints.schema import ResponseModel
from after_hours.foundation import storage
from after_hours.foundation.batches import repeat
from after_hours.foundation.database import Database, Row
from after_hours.foundation.observability import best_effort, count, logger
from after_hours.foundation.storage import Store
from after_hours.images.rejection import Reason, Rejected
from after_hours.outbox import relay

if TYPE_CHECKING:
    from after_hours.images.isolation import Processed

MAX_BYTES = 10 * 1024 * 1024
UPLOAD_SECONDS = 600

# The photo's id is a UUID as PostgreSQL writes it.
_ORIGINAL_KEY = re.compile(r"uploads/(?P<folder>[!-.0-~]+)/(?P<photo_id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")

type Outcome = Literal["ready", "rejected", "superseded", "duplicate", "missing", "unknown"]


class UploadForm(ResponseModel):
    """A form to post to `url`: the `fields`, then the file. `Content-Type` may be changed to another image type."""

    photo_id: UUID = Field(description="Of this upload; reading the photo returns it, too.")
    url: str = Field(description="Where to post the form.")
    fields: dict[str, str] = Field(description="Form fields by their names, to be sent before the file, all of them.")
    max_bytes: int = Field(description="Size limit of the file, in bytes.")
    expires_at: datetime = Field(description="When the form stops being accepted.")


class UploadInProgress(Exception):
    """Another invocation is making this photo, or deleting objects of an earlier attempt. Lambda must retry later."""


@dataclass(frozen=True)
class Upload:
    """An upload, and the keys of its original, its photo and its thumbnail.

    All three contain `folder`: the member's id, or its hash (the SQL function after_hours_upload_key) where a URL would
    normalise the id.
    """

    folder: str
    photo_id: str

    @property
    def original_key(self) -> str:
        return f"uploads/{self.folder}/{self.photo_id}"

    @property
    def photo_key(self) -> str:
        return f"after-hours-photos/{self.folder}/{self.photo_id}.jpg"

    @property
    def thumbnail_key(self) -> str:
        return f"after-hours-photos/{self.folder}/{self.photo_id}_thumb.jpg"

    @classmethod
    def of_original(cls, key: str) -> "Upload | None":
        """Parse the key of an object in the upload bucket. Returns None for a key that no form of ours has."""
        match = _ORIGINAL_KEY.fullmatch(key)
        return cls(match["folder"], match["photo_id"]) if match else None

    def parameters(self, **further: str | None) -> dict[str, Any]:
        """Return the parameters of the statements below."""
        return {
            "photo_id": self.photo_id,
            "original_key": self.original_key,
            "photo_key": self.photo_key,
            "thumbnail_key": self.thumbnail_key,
            **further,
        }


# The member's lock makes all changes of a photo run one after another: this request, `_CLAIM`, `_FINISH`, `_REJECT`,
# deleting the photo, and leaving. The last statement has a new snapshot, and so sees what the transaction before it
# committed. Releases before the function after_hours_lock_member lock the profile alone.
_REQUEST = """
    SELECT after_hours_lock_member(%(user_id)s);
    SELECT FROM after_hours_profiles WHERE user_id = %(user_id)s FOR UPDATE;
    WITH profile AS (
        SELECT user_id FROM after_hours_profiles WHERE user_id = %(user_id)s
    ), tenth AS (
        SELECT requested_at + interval '1 hour' - now() AS wait FROM after_hours_photo_uploads
        WHERE user_id = %(user_id)s AND requested_at > now() - interval '1 hour'
        ORDER BY requested_at DESC OFFSET 9 LIMIT 1
    ), upload AS (
        INSERT INTO after_hours_photo_uploads (user_id) SELECT user_id FROM profile WHERE NOT EXISTS (SELECT FROM tenth)
        RETURNING id, user_id, requested_at
    ), superseded AS (
        UPDATE after_hours_photo_uploads older SET forget_at = older.requested_at + interval '1 day'
        FROM upload WHERE older.user_id = upload.user_id AND older.forget_at IS NULL
    )
    SELECT
        profile.user_id, upload.id::text, upload.requested_at,
        after_hours_upload_key(upload.user_id, upload.id) AS original_key,
        (SELECT ceil(extract(epoch FROM wait))::int FROM tenth) AS retry_after_seconds
    FROM users LEFT JOIN profile ON true LEFT JOIN upload ON true
    WHERE users.id = %(user_id)s
"""

# The claim records the deletion of each object before the photo is made, so a function that dies leaves no orphan; it
# postpones deletions that an earlier attempt recorded. A deletion that is due within a minute may already be under way,
# under a lease, and would delete the new objects: then it is not postponed, and the upload is not claimed. A failed
# upload can be claimed again, so that the dead-letter queue can be redriven. The upload's lease lasts as long as the
# function may run: if two functions made one photo, the slower could store objects again that were deleted meanwhile.
_CLAIM = """
    SELECT after_hours_lock_member(user_id) FROM after_hours_photo_uploads
    WHERE id = %(photo_id)s AND status IN ('pending', 'processing', 'failed');
    WITH claimable AS (
        SELECT id FROM after_hours_photo_uploads
        WHERE id = %(photo_id)s AND after_hours_upload_key(user_id, id) = %(original_key)s
            AND status IN ('pending', 'processing', 'failed') AND (leased_until <= now()) IS NOT FALSE
        FOR UPDATE
    ), covered AS (
        INSERT INTO after_hours_outbox AS task (kind, key, due_at)
        SELECT object.store, object.key, now() + object.delay FROM claimable, (VALUES
            ('r2', %(photo_key)s, interval '15 minutes'),
            ('r2', %(thumbnail_key)s, interval '15 minutes'),
            ('uploads', %(original_key)s, interval '1 day')
        ) AS object (store, key, delay)
        ORDER BY 1, 2
        ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at, attempts = 0, version = DEFAULT
            WHERE task.due_at > now() + interval '1 minute'
        RETURNING kind
    ), claimed AS (
        UPDATE after_hours_photo_uploads upload SET
            status = 'processing', reason = NULL, changed_at = now(), leased_until = now() + interval '60 seconds'
        FROM claimable WHERE upload.id = claimable.id AND (SELECT count(*) FROM covered) = 3
        RETURNING upload.id
    )
    SELECT
        EXISTS (SELECT FROM claimed) AS claimed,
        known.user_id, coalesce(known.status IN ('pending', 'processing', 'failed'), false) AS open
    FROM (VALUES (1)) AS one LEFT JOIN after_hours_photo_uploads known
        ON id = %(photo_id)s AND after_hours_upload_key(user_id, id) = %(original_key)s
"""

# After a transient fault the lease is given up, so that the retry need not wait until it runs out.
_RELEASE = """
    UPDATE after_hours_photo_uploads SET leased_until = NULL WHERE id = %(photo_id)s
"""

# Each call reads some pages of the main app's table: comparing millions of hashes in one statement would exceed the
# role's statement_timeout.
_BANNED = "SELECT banned, malformed, next_page FROM after_hours_banned_photo(%(hashes)s::text[], %(page)s)"

# The original no longer exists, so no photo can be made of it.
_FAIL = """
    UPDATE after_hours_photo_uploads
    SET status = 'failed', reason = 'PROCESSING_FAILED', changed_at = now(), leased_until = NULL
    WHERE id = %(photo_id)s AND status = 'processing'
"""

# If the upload was settled meanwhile (the photo was deleted, say), its objects are deleted, unless the profile shows
# them.
_FINISH = """
    SELECT after_hours_lock_member(%(user_id)s);
    SELECT FROM after_hours_profiles WHERE user_id = %(user_id)s FOR UPDATE;
    WITH previous AS (
        SELECT photo_url, photo_number FROM after_hours_profiles WHERE user_id = %(user_id)s
    ), upload AS (
        UPDATE after_hours_photo_uploads u SET
            status = CASE WHEN coalesce(previous.photo_number, 0) < u.number THEN 'ready' ELSE 'removed' END,
            changed_at = now()
        FROM previous WHERE u.id = %(photo_id)s AND u.user_id = %(user_id)s AND u.status = 'processing'
        RETURNING u.id, u.user_id, u.number, u.status
    ), shown AS (
        UPDATE after_hours_profiles a SET
            photo_url = %(photo_key)s, photo_number = upload.number, photo_hash = %(photo_hash)s, updated_at = now()
        FROM upload WHERE a.user_id = upload.user_id AND upload.status = 'ready'
        RETURNING after_hours_put_event(
            'PhotoReady', jsonb_build_object('userId', a.user_id, 'photoId', upload.id)
        ) AS event
    ), kept AS (
        DELETE FROM after_hours_outbox USING shown WHERE kind = 'r2' AND key IN (%(photo_key)s, %(thumbnail_key)s)
    ), unwanted AS (
        SELECT object.store, object.key FROM shown, previous, after_hours_photo_objects(previous.photo_url) AS object
        UNION SELECT own.store, own.key FROM (VALUES
            ('r2', %(photo_key)s), ('r2', %(thumbnail_key)s), ('uploads', %(original_key)s)
        ) AS own (store, key)
        WHERE own.store = 'uploads'
            OR NOT EXISTS (SELECT FROM shown) AND NOT EXISTS (SELECT FROM previous WHERE photo_url = %(photo_key)s)
    ), deletions AS (
        SELECT task FROM (SELECT array_agg(store) AS stores, array_agg(key) AS keys FROM unwanted) AS objects,
            after_hours_put_deletions(objects.stores, objects.keys) AS task
    )
    SELECT (SELECT jsonb_agg(task) FROM deletions) AS deletions, (SELECT event FROM shown) AS event
"""

_REJECT = """
    SELECT after_hours_lock_member(%(user_id)s);
    WITH upload AS (
        UPDATE after_hours_photo_uploads SET status = 'rejected', reason = %(reason)s, changed_at = now()
        WHERE id = %(photo_id)s AND status = 'processing'
        RETURNING after_hours_put_event(
            'PhotoRejected',
            jsonb_build_object('userId', user_id, 'photoId', id, 'reason', reason)
        ) AS event
    ), deletions AS (
        SELECT task FROM upload, after_hours_put_deletions(
            ARRAY['r2', 'r2', 'uploads'], ARRAY[%(photo_key)s, %(thumbnail_key)s, %(original_key)s]
        ) AS task
    )
    SELECT (SELECT jsonb_agg(task) FROM deletions) AS deletions, (SELECT event FROM upload) AS event
"""

# The file of an unprocessed upload may still be in the bucket, so its deletion is recorded. The bucket's lifecycle rule
# deletes it after a day, too.
_FAIL_STUCK = """
    WITH stuck AS (
        SELECT id FROM after_hours_photo_uploads
        WHERE status IN ('pending', 'processing') AND changed_at < now() - interval '15 minutes'
        ORDER BY changed_at LIMIT 500
        FOR UPDATE SKIP LOCKED
    ), failed AS (
        UPDATE after_hours_photo_uploads upload SET
            status = 'failed',
            reason = CASE status WHEN 'pending' THEN 'UPLOAD_TIMED_OUT' ELSE 'PROCESSING_FAILED' END,
            changed_at = now()
        WHERE upload.id = ANY(ARRAY(SELECT id FROM stuck))
        RETURNING upload.id, upload.user_id
    ), originals AS (
        INSERT INTO after_hours_outbox (kind, key, due_at)
        SELECT 'uploads', after_hours_upload_key(user_id, id), now() + interval '1 day' FROM failed
        ORDER BY 1, 2
        ON CONFLICT (kind, key) DO NOTHING
    )
    SELECT count(*) AS uploads FROM failed
"""


def request(database: Database, user_id: str) -> UploadForm:
    """Record an upload, and sign the form by which the phone can send its file for ten minutes.

    Raises `ProfileNotFound`, `TooManyUploads` after ten in an hour, and what `access.change` raises.
    """
    row = access.change(database, _REQUEST, {"user_id": user_id})
    if row["user_id"] is None:
        raise ProfileNotFound
    if row["id"] is None:
        raise TooManyUploads(retry_after_seconds=row["retry_after_seconds"])
    count("PhotosRequested")
    post = storage.bucket(Store.UPLOADS).sign_post(
        row["original_key"], max_bytes=MAX_BYTES, type_prefix="image/", seconds=UPLOAD_SECONDS
    )
    return UploadForm(
        photo_id=UUID(row["id"]),
        url=post.url,
        fields=dict(post.fields),
        max_bytes=MAX_BYTES,
        expires_at=row["requested_at"] + timedelta(seconds=UPLOAD_SECONDS),
    )


def process(database: Database, original_key: str, size: int) -> Outcome:
    """Make the photo of an object of `size` bytes that arrived in the upload bucket, and show it on the profile.

    Idempotent: called any number of times, in any order, it leaves the same state. Raises `UploadInProgress`,
    `ServiceUnavailable` for the database and the stores, and OSError for the photo's own process. These faults are
    transient, and Lambda retries.
    """
    upload = Upload.of_original(original_key)
    if upload is None:
        return _discard(original_key, "unknown")
    claim = database.fetch_one(_CLAIM, upload.parameters())
    if claim["claimed"]:
        try:
            return _process_claimed(database, upload, claim["user_id"], size)
        except Exception:
            with best_effort("DatabaseFaults"):
                database.execute(_RELEASE, upload.parameters())
            raise
    if claim["open"]:
        raise UploadInProgress
    return _discard(original_key, "duplicate" if claim["user_id"] else "unknown")


def _discard(original_key: str, outcome: Outcome) -> Outcome:
    """Delete an object that never becomes a photo: its upload is unknown, or its form was posted again.

    A key that S3 would refuse (empty, or with NUL in it) names no object, and is ignored.
    """
    if outcome == "unknown":
        count("UnknownObjects")
    if original_key and original_key.isprintable():
        storage.bucket(Store.UPLOADS).delete(original_key)
    return outcome


def fail_stuck(database: Database, deadline: float) -> int:
    """Mark uploads without progress for 15 minutes as failed. Return the number marked."""
    failed = repeat(lambda: int(database.fetch_one(_FAIL_STUCK)["uploads"]), deadline)
    count("PhotosFailed", failed)
    return failed


def _process_claimed(database: Database, upload: Upload, user_id: str, size: int) -> Outcome:
    try:
        processed = _processed(upload, size)
        if processed:
            _require_allowed(database, processed)
    except Rejected as rejected:
        logger.info("photo rejected", reason=rejected.reason)
        count("PhotosRejected")
        _settle(database, _REJECT, upload.parameters(user_id=user_id, reason=rejected.reason))
        return "rejected"
    if processed is None:
        database.execute(_FAIL, upload.parameters())
        return "missing"
    for key, jpeg in ((upload.photo_key, processed.photo), (upload.thumbnail_key, processed.thumbnail)):
        storage.bucket(Store.R2).put(key, jpeg)
    if not _settle(database, _FINISH, upload.parameters(user_id=user_id, photo_hash=processed.photo_hash))["event"]:
        return "superseded"
    count("PhotosReady")
    return "ready"


def _processed(upload: Upload, size: int) -> "Processed | None":
    """Return the photo of an original; None when the original no longer exists. Raises `Rejected`."""
    from after_hours.images import isolation  # noqa: PLC0415 (only the function that processes photos starts a process)

    if size > MAX_BYTES:
        raise Rejected(Reason.TOO_LARGE)
    original = storage.bucket(Store.UPLOADS).get(upload.original_key)
    return None if original is None else isolation.process(original)


def _require_allowed(database: Database, processed: "Processed") -> None:
    """Raise `Rejected` for a photo that looks like one that the main app has banned.

    A fault of the database is raised, too, so that Lambda retries: no photo is shown unchecked.
    """
    page = 0 if processed.may_be_banned_by else None
    while page is not None:
        checked = database.fetch_one(_BANNED, {"hashes": list(processed.may_be_banned_by), "page": page})
        if checked["malformed"]:
            count("MalformedBannedHashes", checked["malformed"])
        if checked["banned"]:
            raise Rejected(Reason.NOT_ALLOWED)
        page = checked["next_page"]


def _settle(database: Database, statement: str, parameters: dict[str, Any]) -> Row:
    """Run `_FINISH` or `_REJECT`; then publish the event and delete unwanted objects, best effort."""
    row = database.fetch_one(statement, parameters)
    relay.do_now(database, [*filter(None, [row["event"]]), *(row["deletions"] or ())])
    return row
