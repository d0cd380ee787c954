"""Each sample event does what its name says, on the member and in the state it is meant for."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from local import members
from tests.handlers import EVENTS, sample_event
from tests.integration.conftest import JWT_SECRET, UPLOAD_BUCKET, Answer, send
from tests.photos import corners, encoded

PROFILE = "INSERT INTO after_hours_profiles (user_id, description) VALUES ('local-entitled', 'before')"
LIVE = (
    f"{PROFILE}; INSERT INTO after_hours_sessions (user_id, expires_at, latitude, longitude)"
    " VALUES ('local-entitled', now() + interval '30 minutes', 52.5, 13.4)"
)
OVERDUE = (
    f"{PROFILE}; INSERT INTO after_hours_sessions (id, user_id, expires_at, latitude, longitude)"
    " VALUES ('6f1c2f8e-3f0a-4b62-9d1e-0c5b7a1d2e3f', 'local-entitled', now() - interval '1 minute', 52.5, 13.4)"
)

UPLOADED = (
    f"{PROFILE}; INSERT INTO after_hours_photo_uploads (id, user_id)"
    " VALUES ('0b0a1f3c-52d7-4c0e-9a55-3f6a3a1f9b10', 'local-entitled')"
)

PREFERENCES = "INSERT INTO after_hours_preferences (user_id, min_age, max_age) VALUES ('local-entitled', 25, 40)"

# function/event → the state it meets, the answer it gets
HTTP: dict[str, tuple[str, int, str | None]] = {
    "create_profile/valid": ("", 201, None),
    "create_profile/description_too_long": ("", 400, "VALIDATION_ERROR"),
    "create_profile/not_json": ("", 400, "VALIDATION_ERROR"),
    "create_preferences/valid": ("", 201, None),
    "create_preferences/defaults": ("", 201, None),
    "create_preferences/crossed_ages": ("", 400, "VALIDATION_ERROR"),
    "create_preferences/wrong_case": ("", 400, "VALIDATION_ERROR"),
    "get_preferences/valid": (PREFERENCES, 200, None),
    "get_preferences/expired_token": (PREFERENCES, 401, "UNAUTHORIZED"),
    "update_preferences/valid": (PREFERENCES, 200, None),
    "update_preferences/clear_orientation": (PREFERENCES, 200, None),
    "update_preferences/above_the_stored_highest_age": (PREFERENCES, 400, "VALIDATION_ERROR"),
    "update_preferences/distance_is_text": (PREFERENCES, 400, "VALIDATION_ERROR"),
    "delete_profile/valid": (LIVE, 204, None),
    "delete_profile/nothing_to_leave": ("", 404, "PROFILE_NOT_FOUND"),
    "request_photo_upload/valid": (PROFILE, 201, None),
    "request_photo_upload/no_profile": ("", 404, "PROFILE_NOT_FOUND"),
    "get_photo/valid": (UPLOADED, 200, None),
    "get_photo/expired_token": (UPLOADED, 401, "UNAUTHORIZED"),
    "delete_photo/valid": (UPLOADED, 204, None),
    "delete_photo/no_photo": (PROFILE, 404, "PHOTO_NOT_FOUND"),
    "get_profile/valid": (PROFILE, 200, None),
    "get_profile/no_token": (PROFILE, 401, "UNAUTHORIZED"),
    "update_profile/valid": (PROFILE, 200, None),
    "update_profile/clear_description": (PROFILE, 200, None),
    "update_profile/nothing_to_change": (PROFILE, 400, "VALIDATION_ERROR"),
    "update_profile/unknown_field": (PROFILE, 400, "VALIDATION_ERROR"),
    "start_session/valid": (PROFILE, 201, None),
    "start_session/duration_is_text": (PROFILE, 400, "VALIDATION_ERROR"),
    "start_session/null_island": (PROFILE, 400, "VALIDATION_ERROR"),
    "end_session/valid": (LIVE, 200, None),
    "end_session/unsigned_token": (LIVE, 401, "UNAUTHORIZED"),
    "extend_session/valid": (LIVE, 200, None),
    "extend_session/not_an_offered_length": (LIVE, 400, "VALIDATION_ERROR"),
    "get_session/valid": (LIVE, 200, None),
    "get_session/not_a_bearer_token": (LIVE, 401, "UNAUTHORIZED"),
}

# function/event → the state it meets, a part of the outcome or the error it raises
JOBS: dict[str, tuple[str, dict[str, object] | type[Exception]]] = {
    "expire_session/valid": (OVERDUE, {"outcome": "expired"}),
    "expire_session/warning": ("", {"outcome": "ignored"}),
    "expire_session/no_session": ("", ValidationError),
    "process_photo/valid": (UPLOADED, {"outcomes": ["ready"]}),
    "process_photo/too_large": (UPLOADED, {"outcomes": ["rejected"]}),
    "process_photo/nobody_asked_for_it": (UPLOADED, {"outcomes": ["unknown"]}),
    "sweep/valid": (OVERDUE, {"expired": 1}),
    "migrate_database/valid": ("", {}),
}


def test_every_sample_event_has_its_outcome_here() -> None:
    samples = {f"{path.parent.name}/{path.stem}" for path in EVENTS.glob("*/*.json")}
    assert samples == HTTP.keys() | JOBS.keys()


@pytest.fixture
def in_state(people: Any, rows: Any, s3: Any) -> Callable[[str], None]:
    def prepare(state: str) -> None:
        if state:
            rows(state)
        if state == UPLOADED:
            key = "uploads/local-entitled/0b0a1f3c-52d7-4c0e-9a55-3f6a3a1f9b10"
            s3.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=encoded(corners()), ContentType="image/jpeg")

    return prepare


@pytest.mark.parametrize("sample", HTTP)
def test_an_http_sample_gets_its_answer(in_state: Callable[[str], None], sample: str) -> None:
    state, status, code = HTTP[sample]
    in_state(state)
    function, name = sample.split("/")
    token = members.token("local-entitled", JWT_SECRET)
    answer: Answer = send(function, sample_event(function, name, token))
    assert answer.status == status
    if status != 204:
        assert answer.body.get("code") == code
        assert answer.body["success"] is (status < 400)


@pytest.mark.parametrize("sample", JOBS)
def test_a_job_sample_has_its_outcome(in_state: Callable[[str], None], run_job: Any, sample: str) -> None:
    state, expected = JOBS[sample]
    in_state(state)
    function, name = sample.split("/")
    event = sample_event(function, name, "")
    if isinstance(expected, dict):
        assert expected.items() <= run_job(function, event).items()
    else:
        with pytest.raises(expected):
            run_job(function, event)
