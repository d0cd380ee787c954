"""Validation answers say which field is wrong, in words that know nothing of Python."""

from typing import Any

import pytest
from after_hours.entrypoints.schema import MAX_FIELD_NAME, MAX_REPORTED_ERRORS, field_errors
from after_hours.members.profiles import CreateProfile
from after_hours.members.sessions import DeviceFingerprint, StartSession
from pydantic import BaseModel, ValidationError

GOOD = {"duration": 30, "latitude": 52.520008, "longitude": 13.404954}


def errors(model: type[BaseModel], content: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(content)
    return {error["field"]: error["message"] for error in field_errors(caught.value)}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD | {"duration": "30"}, {"duration": "Input should be a valid integer"}),
        (GOOD | {"duration": 20}, {"duration": "Must be 15, 30 or 60"}),
        (GOOD | {"x": 1}, {"x": "This field is not known"}),
        ({"duration": 30, "latitude": 1}, {"longitude": "This field is required"}),
        (
            GOOD | {"latitude": 0, "longitude": -0.0},
            dict.fromkeys(("latitude", "longitude"), "A location is required: 0, 0 is not where anyone is"),
        ),
        ([], {"body": "A JSON object is expected"}),
        (
            GOOD | {"deviceFingerprint": {"platform": "\ud800"}},
            {"deviceFingerprint.platform": "Must be valid Unicode text"},
        ),
        (GOOD | {"deviceFingerprint": []}, {"deviceFingerprint": "A JSON object is expected"}),
        (GOOD | {"device_fingerprint": {}}, {"device_fingerprint": "This field is not known"}),
    ],
)
def test_each_bad_field_is_named_with_a_reason(content: Any, expected: dict[str, str]) -> None:
    assert errors(StartSession, content) == expected


def test_an_error_never_repeats_what_was_sent_and_reports_are_bounded() -> None:
    assert "home" not in str(errors(StartSession, GOOD | {"latitude": "52.520008, my home"}))
    reported = errors(CreateProfile, {"x" * 1000 + str(i): i for i in range(1000)})
    assert len(reported) <= MAX_REPORTED_ERRORS
    assert all(len(field) <= MAX_FIELD_NAME for field in reported)


def test_models_do_not_show_places_or_devices_when_printed() -> None:
    start = StartSession.model_validate(GOOD | {"deviceFingerprint": {"deviceId": "device-4711"}})
    assert "52.5" not in repr(start)
    assert "13.4" not in repr(start)
    assert "4711" not in repr(DeviceFingerprint.model_validate({"deviceId": "device-4711"}))
