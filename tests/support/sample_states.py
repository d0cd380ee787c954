"""Bring the database and the upload bucket into the state that a sample event needs."""

from collections.abc import Iterable

from local.samples import Given
from pictures.files import corners, encoded
from tests.support.world import World

UPLOAD_KEY = "uploads/local-entitled/0b0a1f3c-52d7-4c0e-9a55-3f6a3a1f9b10"

STATEMENTS = {
    Given.PROFILE: "INSERT INTO after_hours_profiles (user_id, description) VALUES ('local-entitled', 'before')",
    Given.PREFERENCES: (
        "INSERT INTO after_hours_preferences (user_id, min_age, max_age) VALUES ('local-entitled', 25, 40)"
    ),
    Given.LIVE_SESSION: (
        "INSERT INTO after_hours_sessions (user_id, expires_at, fuzzed_latitude, fuzzed_longitude)"
        " VALUES ('local-entitled', now() + interval '30 minutes', 52.5, 13.4)"
    ),
    Given.OVERDUE_SESSION: (
        "INSERT INTO after_hours_sessions (id, user_id, expires_at, fuzzed_latitude, fuzzed_longitude)"
        " VALUES ('6f1c2f8e-3f0a-4b62-9d1e-0c5b7a1d2e3f', 'local-entitled', now() - interval '1 minute', 52.5, 13.4)"
    ),
    Given.UPLOADED_PHOTO: (
        "INSERT INTO after_hours_photo_uploads (id, user_id)"
        " VALUES ('0b0a1f3c-52d7-4c0e-9a55-3f6a3a1f9b10', 'local-entitled')"
    ),
}


def prepare(given: Iterable[Given], world: World) -> None:
    """Make the parts of the state in the order given: tables refer to the ones before them."""
    for part in given:
        world.rows(STATEMENTS[part])
        if part is Given.UPLOADED_PHOTO:
            world.put_original(UPLOAD_KEY, encoded(corners()))
