"""A member's photo: asked for, sent straight to S3, made clean and small, shown from R2, and removed without a trace.

Of several uploads the newest request wins, whatever order they finish in. An upload that does not become a photo leaves
the one before it in place.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from pydantic import Field

from after_hours import domain_events, removals, storage
from after_hours.database import Database, Row
from after_hours.domain_events import EVENTS, Type, fact, recorded
from after_hours.errors import PhotoNotFound, ProfileNotFound, TooManyUploads
from after_hours.observability import count, left_to_sweep, logger
from after_hours.schema import ResponseModel
from after_hours.storage import Store

if TYPE_CHECKING:
    from after_hours import images

MAX_BYTES = 10 * 1024 * 1024
UPLOADS_AN_HOUR = 10
UPLOAD_SECONDS = 600
TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/heic", "image/heif"})

# A photo under one key never changes: a new one has a new key.
_CACHE_CONTROL = "private, max-age=31536000, immutable"

type Status = Literal["none", "pending", "processing", "ready", "rejected", "failed"]
type Reason = Literal[
    # rejected: the file itself is why
    "UNSUPPORTED_TYPE", "CORRUPT", "TOO_MANY_PIXELS", "TOO_LARGE", "EMPTY",
    # failed: never sent, or our fault
    "UPLOAD_TIMED_OUT", "PROCESSING_FAILED",
]  # fmt: skip

PhotoUrl = Annotated[
    str | None,
    Field(
        description="Valid for two hours at least, and the same address for up to an hour, so that it can be cached by "
        "it."
    ),
]
ThumbnailUrl = Annotated[str | None, Field(description="The same photo, small. Valid as `photoUrl` is.")]


class Upload(ResponseModel):
    """A form to post to `url`: the `fields`, then the file. `Content-Type` may be changed to another image type."""

    photo_id: UUID
    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_at: datetime


class Photo(ResponseModel):
    """The newest upload, and the photo that is shown meanwhile: an older one, unless `status` is `ready`."""

    photo_id: UUID | None
    status: Status
    reason: Reason | None = Field(description="Why the status is rejected or failed.")
    photo_url: PhotoUrl
    thumbnail_url: ThumbnailUrl
    requested_at: datetime | None


# What an answer needs of the photo of a profile `a`: the key of the one shown, and the newest upload.
SHOWN = """
    a.photo_url AS photo_key, a.photo_number, upload.id AS photo_id, upload.reason, upload.requested_at,
    coalesce(upload.status, CASE a.photo_url WHEN '' THEN 'none' ELSE 'ready' END) AS photo_status
"""
NEWEST_UPLOAD = """
    LEFT JOIN LATERAL (
        SELECT * FROM (
            SELECT * FROM after_hours_photo_uploads u WHERE u.user_id = a.user_id ORDER BY number DESC LIMIT 1
        ) AS newest
        WHERE newest.status <> 'removed'
    ) AS upload ON true
"""

# Sent before another statement, in one round trip and one transaction: changes of one member's photo wait for each
# other here, and each then sees what the one before it did.
LOCK_PROFILE = "SELECT FROM after_hours_profiles WHERE user_id = %(user_id)s FOR UPDATE;"

_READ = f"""
    SELECT {SHOWN} FROM after_hours_profiles a {NEWEST_UPLOAD} WHERE a.user_id = %(user_id)s
"""

_REQUEST = f"""
    {LOCK_PROFILE}
    WITH profile AS (
        SELECT user_id FROM after_hours_profiles WHERE user_id = %(user_id)s
    ), last_hour AS (
        SELECT count(*) AS uploads, min(requested_at) AS oldest FROM after_hours_photo_uploads
        WHERE user_id = %(user_id)s AND requested_at > now() - interval '1 hour'
    ), upload AS (
        INSERT INTO after_hours_photo_uploads (user_id)
        SELECT user_id FROM profile, last_hour WHERE uploads < %(uploads_an_hour)s
        RETURNING id, requested_at
    )
    SELECT
        upload.id, upload.requested_at,
        ceil(extract(epoch FROM last_hour.oldest + interval '1 hour' - now()))::int AS retry_after_seconds
    FROM profile CROSS JOIN last_hour LEFT JOIN upload ON true
"""

# The key of the original of an upload, a row with `user_id` and `id`.
ORIGINAL = "'uploads/' || user_id || '/' || id"

# What is taken from the profile, or was on its way to it. An upload that is being processed right now finds out when
# it is done, and removes what it made.
_DELETE = f"""
    {LOCK_PROFILE}
    WITH was AS (
        SELECT photo_url FROM after_hours_profiles WHERE user_id = %(user_id)s AND photo_url <> ''
    ), cleared AS (
        UPDATE after_hours_profiles a SET photo_url = '', photo_number = NULL, updated_at = now()
        FROM was WHERE a.user_id = %(user_id)s
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
    ), removals AS (
        INSERT INTO after_hours_removals (store, key)
        SELECT object.store, object.key FROM was, after_hours_photo_objects(was.photo_url) AS object
        UNION SELECT 'uploads', {ORIGINAL} FROM cancelled
        ORDER BY 1, 2
        ON CONFLICT (store, key) DO UPDATE SET due_at = now()
        RETURNING store, key, due_at
    )
    SELECT EXISTS (SELECT FROM deleted) AS deleted, (SELECT json_agg(removals) FROM removals) AS removals
"""


def request_upload(database: Database, user_id: str) -> Upload:
    """Let the member send one photo, within ten minutes.

    Raises `ProfileNotFound`, and `TooManyUploads` after ten in an hour.
    """
    row = database.fetch_one(_REQUEST, {"user_id": user_id, "uploads_an_hour": UPLOADS_AN_HOUR})
    if row is None:
        raise ProfileNotFound
    if row["id"] is None:
        raise TooManyUploads(retry_after_seconds=row["retry_after_seconds"])
    count("PhotosRequested")
    post = storage.bucket(Store.UPLOADS).sign_post(
        _original_key(user_id, row["id"]), max_bytes=MAX_BYTES, type_prefix="image/", seconds=UPLOAD_SECONDS
    )
    return Upload(
        photo_id=row["id"],
        url=post.url,
        fields=dict(post.fields),
        max_bytes=MAX_BYTES,
        expires_at=row["requested_at"] + timedelta(seconds=UPLOAD_SECONDS),
    )


def read(database: Database, user_id: str) -> Photo:
    """Return what became of the newest upload, and the photo that is shown. Raises `ProfileNotFound`."""
    row = database.fetch_one(_READ, {"user_id": user_id})
    if row is None:
        raise ProfileNotFound
    return Photo.model_validate(row | {"status": row["photo_status"]} | urls(row))


def delete(database: Database, user_id: str) -> None:
    """Take the photo off the profile, and whatever was to become one. Raises `PhotoNotFound`."""
    row = database.fetch_one(_DELETE, {"user_id": user_id})
    if row is None or not row["deleted"]:
        raise PhotoNotFound
    count("PhotosDeleted")
    removals.carry_out(database, row["removals"] or ())


def urls(row: Row) -> dict[str, str | None]:
    """The addresses of the photo of a row with the columns `SHOWN`. One of the earlier backend is its own thumbnail."""
    key = row["photo_key"]
    if not key:
        return {"photo_url": None, "thumbnail_url": None}
    thumbnail = key if row["photo_number"] is None else _thumbnail_key(key)
    return {"photo_url": storage.photo_address(key), "thumbnail_url": storage.photo_address(thumbnail)}


# --- processing -------------------------------------------------------------------------------------------------------

# As long as the function may run: two must not make the same photo at once, for the one that is done last could put
# back what others have removed meanwhile.
LEASE_SECONDS = 60

# Before anything is made, its removal is written down, for the case that we do not get further than that. A removal
# that is about to be carried out is not put off: who carries it out may have read it already, and would delete what we
# make. A failed upload may be tried again: that is what redriving the dead-letter queue is for.
_CLAIM = f"""
    WITH claimable AS (
        SELECT id FROM after_hours_photo_uploads
        WHERE id = %(photo_id)s AND user_id = %(user_id)s AND status IN ('pending', 'processing', 'failed')
            AND (leased_until <= now()) IS NOT FALSE
        FOR UPDATE
    ), covered AS (
        INSERT INTO after_hours_removals AS removal (store, key, due_at)
        SELECT object.store, object.key, now() + object.delay FROM claimable, (VALUES
            ('r2', %(photo_key)s, interval '15 minutes'),
            ('r2', %(thumbnail_key)s, interval '15 minutes'),
            ('uploads', %(original_key)s, interval '1 day')
        ) AS object (store, key, delay)
        ORDER BY 1, 2
        ON CONFLICT (store, key) DO UPDATE SET due_at = excluded.due_at
            WHERE removal.due_at > now() + interval '10 seconds'
        RETURNING store
    ), claimed AS (
        UPDATE after_hours_photo_uploads upload SET
            status = 'processing', reason = NULL, changed_at = now(),
            leased_until = now() + interval '{LEASE_SECONDS} seconds'
        FROM claimable WHERE upload.id = claimable.id AND (SELECT count(*) FROM covered) = 3
        RETURNING upload.id
    )
    SELECT
        EXISTS (SELECT FROM claimed) AS claimed,
        known.status IS NOT NULL AS known, known.status IN ('pending', 'processing', 'failed') AS open
    FROM (VALUES (1)) AS one LEFT JOIN after_hours_photo_uploads known
        ON id = %(photo_id)s AND user_id = %(user_id)s
"""

# After a fault that may pass, so that the next try need not wait.
_RELEASE = """
    UPDATE after_hours_photo_uploads SET leased_until = NULL WHERE id = %(photo_id)s AND user_id = %(user_id)s
"""

# There is nothing (any more) to make a photo of.
_FAIL = """
    UPDATE after_hours_photo_uploads
    SET status = 'failed', reason = 'PROCESSING_FAILED', changed_at = now(), leased_until = NULL
    WHERE id = %(photo_id)s AND user_id = %(user_id)s AND status = 'processing'
"""

_MADE = """
    SELECT store, key FROM (VALUES
        ('r2', %(photo_key)s), ('r2', %(thumbnail_key)s), ('uploads', %(original_key)s)
    ) AS made (store, key)
"""

_WHO = {"userId": "user_id", "photoId": "id"}

_FINISH = f"""
    {LOCK_PROFILE}
    WITH was AS (
        SELECT photo_url, photo_number FROM after_hours_profiles WHERE user_id = %(user_id)s
    ), upload AS (
        UPDATE after_hours_photo_uploads u SET
            status = CASE WHEN coalesce(was.photo_number, 0) < u.number THEN 'ready' ELSE 'removed' END,
            changed_at = now()
        FROM was WHERE u.id = %(photo_id)s AND u.user_id = %(user_id)s AND u.status = 'processing'
        RETURNING u.id, u.user_id, u.number, u.status
    ), shown AS (
        UPDATE after_hours_profiles a SET photo_url = %(photo_key)s, photo_number = upload.number, updated_at = now()
        FROM upload WHERE a.user_id = upload.user_id AND upload.status = 'ready'
        RETURNING a.user_id, upload.id
    ), kept AS (
        DELETE FROM after_hours_removals USING shown WHERE store = 'r2' AND key IN (%(photo_key)s, %(thumbnail_key)s)
    ), removals AS (
        INSERT INTO after_hours_removals (store, key)
        SELECT object.store, object.key FROM shown, was, after_hours_photo_objects(was.photo_url) AS object
        UNION SELECT made.store, made.key FROM ({_MADE}) AS made
        WHERE made.store = 'uploads'
            OR NOT EXISTS (SELECT FROM shown) AND NOT EXISTS (SELECT FROM was WHERE photo_url = %(photo_key)s)
        ORDER BY 1, 2
        ON CONFLICT (store, key) DO UPDATE SET due_at = now()
        RETURNING store, key, due_at
    ), {recorded(fact(Type.PHOTO_READY, "shown", **_WHO))}
    SELECT EXISTS (SELECT FROM shown) AS shown, (SELECT json_agg(removals) FROM removals) AS removals, {EVENTS}
"""

_REJECT = f"""
    WITH upload AS (
        UPDATE after_hours_photo_uploads SET status = 'rejected', reason = %(reason)s, changed_at = now()
        WHERE id = %(photo_id)s AND user_id = %(user_id)s AND status = 'processing'
        RETURNING id, user_id, reason
    ), removals AS (
        INSERT INTO after_hours_removals (store, key) SELECT made.store, made.key FROM upload, ({_MADE}) AS made
        ORDER BY 1, 2
        ON CONFLICT (store, key) DO UPDATE SET due_at = now()
        RETURNING store, key, due_at
    ), {recorded(fact(Type.PHOTO_REJECTED, "upload", **_WHO, reason="reason"))}
    SELECT (SELECT json_agg(removals) FROM removals) AS removals, {EVENTS}
"""

# An upload that nobody processed may still have sent its file; the bucket itself forgets it after a day, too.
_FAIL_STUCK = f"""
    WITH failed AS (
        UPDATE after_hours_photo_uploads SET
            status = 'failed',
            reason = CASE status WHEN 'pending' THEN 'UPLOAD_TIMED_OUT' ELSE 'PROCESSING_FAILED' END,
            changed_at = now()
        WHERE status IN ('pending', 'processing') AND changed_at < now() - interval '15 minutes'
        RETURNING id, user_id
    ), removals AS (
        INSERT INTO after_hours_removals (store, key, due_at) SELECT 'uploads', {ORIGINAL}, now() + interval '1 day'
        FROM failed
        ORDER BY 1, 2
        ON CONFLICT (store, key) DO NOTHING
    )
    SELECT id FROM failed
"""

_FORGET_UPLOADS = """
    DELETE FROM after_hours_photo_uploads u
    WHERE requested_at < now() - interval '1 day' AND EXISTS (
        SELECT FROM after_hours_photo_uploads newer WHERE newer.user_id = u.user_id AND newer.number > u.number
    )
    RETURNING id
"""

type Outcome = Literal["ready", "rejected", "outdated", "repeated", "gone", "unknown"]


class Busy(Exception):
    """The upload is being processed by somebody else, or what an earlier try left is being removed: later, then."""


def process(database: Database, original_key: str, size: int) -> Outcome:
    """Make the photo of an object that arrived in the upload bucket, `size` bytes long, and show it on the profile.

    Called any number of times, in any order, it leaves one right state. Raises what may pass: `Busy`,
    `StorageUnavailable`, `DatabaseUnavailable`, MemoryError.
    """
    upload = _upload(original_key)
    if upload is None:
        count("UnknownObjects")
        storage.bucket(Store.UPLOADS).delete(original_key)
        return "unknown"
    claim = database.fetch_one(_CLAIM, upload) or {}
    if claim["claimed"]:
        try:
            return _processed(database, upload, size)
        except Exception:
            with left_to_sweep("DatabaseFaults"):
                database.fetch_all(_RELEASE, upload)
            raise
    if claim["open"]:
        raise Busy
    _settle(database, _FINISH, upload)  # decided already, or asked for by nobody: only what is shown may stay
    if claim["known"]:
        return "repeated"
    count("UnknownObjects")
    return "unknown"


def _processed(database: Database, upload: dict[str, str], size: int) -> Outcome:
    from after_hours.images import Rejected  # noqa: PLC0415 (only the function that processes photos has Pillow)

    try:
        made = _made(upload["original_key"], size)
    except Rejected as rejected:
        logger.info("photo rejected", reason=rejected.reason)
        count("PhotosRejected")
        _settle(database, _REJECT, upload | {"reason": rejected.reason})
        return "rejected"
    if made is None:
        database.fetch_all(_FAIL, upload)
        return "gone"
    for key, jpeg in ((upload["photo_key"], made.photo), (upload["thumbnail_key"], made.thumbnail)):
        storage.bucket(Store.R2).put(key, jpeg, content_type="image/jpeg", cache_control=_CACHE_CONTROL)
    if not _settle(database, _FINISH, upload)["shown"]:
        return "outdated"
    count("PhotosReady")
    return "ready"


def _settle(database: Database, statement: str, parameters: Mapping[str, object]) -> Row:
    """Bring an upload to its end, tell of it, and remove what is not wanted any more."""
    row = database.fetch_one(statement, parameters) or {}
    domain_events.publish(database, row["events"])
    removals.carry_out(database, row["removals"] or ())
    return row


def _upload(original_key: str) -> dict[str, str] | None:
    """Whose upload an object in the upload bucket is, and its keys; None when its name is none that we gave."""
    folder, _, rest = original_key.partition("/")
    user_id, _, photo_id = rest.rpartition("/")
    if folder != "uploads" or not user_id or not _is_uuid(photo_id):
        return None
    photo_key = f"after-hours-photos/{user_id}/{photo_id}.jpg"
    return {
        "user_id": user_id,
        "photo_id": photo_id,
        "original_key": original_key,
        "photo_key": photo_key,
        "thumbnail_key": _thumbnail_key(photo_key),
    }


def _made(original_key: str, size: int) -> "images.Processed | None":
    """The photo of an original; None when that is gone, after another event of it or after a day. Raises `Rejected`."""
    from after_hours import images  # noqa: PLC0415

    if size > MAX_BYTES:
        raise images.Rejected(images.Reason.TOO_LARGE)
    original = storage.bucket(Store.UPLOADS).get(original_key)
    if original is None:
        return None
    if original.content_type not in TYPES:
        raise images.Rejected(images.Reason.UNSUPPORTED_TYPE)
    return images.process(original.content)


def _is_uuid(text: str) -> bool:
    """Whether it is a UUID as PostgreSQL writes them."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _original_key(user_id: str, photo_id: str) -> str:
    return f"uploads/{user_id}/{photo_id}"


def _thumbnail_key(photo_key: str) -> str:
    return f"{photo_key.removesuffix('.jpg')}_thumb.jpg"


def fail_stuck(database: Database) -> int:
    """Give up uploads in which nothing has happened for 15 minutes. Returns how many there were."""
    failed = len(database.fetch_all(_FAIL_STUCK))
    count("PhotosFailed", failed)
    return failed


def forget_uploads(database: Database) -> int:
    """Forget uploads of more than a day ago, but for each member's newest. Returns how many there were."""
    return len(database.fetch_all(_FORGET_UPLOADS))
