"""Bring the database and the upload bucket into the state that a sample event needs."""

from collections.abc import Callable, Iterable
from typing import Any

from tools.local import photo
from tools.local.samples import Given

_STATEMENTS = {
    Given.PROFILE: "INSERT INTO after_hours_profiles (user_id, description) VALUES (%s, 'before')",
    Given.PREFERENCES: "INSERT INTO after_hours_preferences (user_id, min_age, max_age) VALUES (%s, 25, 40)",
    Given.LIVE_SESSION: (
        "INSERT INTO after_hours_sessions (user_id, expires_at, fuzzed_latitude, fuzzed_longitude)"
        " VALUES (%s, now() + interval '30 minutes', 52.5, 13.4)"
    ),
    Given.ENDED_SESSION: """
        WITH away AS (SELECT %s AS user_id, now() - interval '1 day' AS at)
        INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)
        SELECT user_id, at, at + interval '30 minutes', at + interval '30 minutes' FROM away
    """,
    Given.OVERDUE_SESSION: (
        "INSERT INTO after_hours_sessions (user_id, id, expires_at, fuzzed_latitude, fuzzed_longitude)"
        " VALUES (%s, '6f1c2f8e-3f0a-4b62-9d1e-0c5b7a1d2e3f', now() - interval '1 minute', 52.5, 13.4)"
    ),
    # If the event was sent before, its objects may be due for deletion, and the upload could not be claimed meanwhile.
    Given.UPLOADED_PHOTO: """
        WITH upload AS (
            INSERT INTO after_hours_photo_uploads (user_id, id) VALUES (%s, '0b0a1f3c-52d7-4c0e-9a55-3f6a3a1f9b10')
            RETURNING user_id, id
        )
        DELETE FROM after_hours_outbox USING upload
        WHERE kind IN ('uploads', 'r2')
            AND starts_with(split_part(key, '/', 3), upload.id::text) AND split_part(key, '/', 2) = upload.user_id
    """,
}


def prepare(
    given: Iterable[Given],
    user_id: str,
    *,
    rows: Callable[[str, str], Any],
    s3: Any,  # noqa: ANN401 (boto3's)
    bucket: str,
) -> None:
    """Make the parts of the state, for a member who has no rows in After Hours yet.

    They are made in the order given, since later tables refer to earlier ones. `rows` sends a statement and its one
    parameter to the database.
    """
    for part in given:
        rows(_STATEMENTS[part], user_id)
        if part is Given.UPLOADED_PHOTO:
            _put_unnoticed(s3, bucket, f"uploads/{user_id}/0b0a1f3c-52d7-4c0e-9a55-3f6a3a1f9b10", photo.take())


def _put_unnoticed(s3: Any, bucket: str, key: str, content: bytes) -> None:  # noqa: ANN401 (boto3's)
    """Put an object without an event from S3: that event would process the photo before the sample event does."""
    notifications = s3.get_bucket_notification_configuration(Bucket=bucket)
    del notifications["ResponseMetadata"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType="image/jpeg")
    finally:
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notifications)
