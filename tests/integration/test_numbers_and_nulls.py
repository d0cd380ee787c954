"""What Dart writes is understood: whole numbers as doubles, and fields that were not set as null."""

import json
from typing import Any

import pytest

from tests.support.phone import START, Phone
from tests.support.world import World

NO_WHOLE_NUMBER = ["30.5", '"30"', '"30.0"', "true", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "3e-1", "[30]"]


def written(fields: dict[str, Any], field: str, value: str) -> str:
    """A body with a value written as it stands: Python's own writer knows one way for each number."""
    return json.dumps(fields | {field: "VALUE"}).replace('"VALUE"', value)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("value", "read"), [("30.0", 30), ("5e1", 50), ("2E+1", 20), ("0.3e2", 30), ("25", 25)])
@pytest.mark.parametrize("field", ["maxDistanceKm", "minAge", "maxAge"])
def test_a_whole_number_is_one_however_it_is_written(field: str, value: str, read: int) -> None:
    phone = Phone()
    created = phone.call("create_preferences", body=written({}, field, value))
    assert created.status == 201, created
    assert (created.body["preferences"][field], type(created.body["preferences"][field])) == (read, int)
    changed = phone.call("update_preferences", body=written({}, field, value))
    assert changed.body["preferences"] == created.body["preferences"]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("value", ["30.0", "3e1", "30"])
def test_minutes_are_whole_numbers(value: str) -> None:
    phone = Phone()
    phone.create_profile()
    started = phone.call("start_session", body=written(START, "duration", value))
    assert started.body["session"]["durationMinutes"] == 30
    extended = phone.call("extend_session", body=written({}, "additionalMinutes", value))
    assert extended.body["session"]["extendedByMinutes"] == 30


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("value", NO_WHOLE_NUMBER)
@pytest.mark.parametrize(
    ("function", "fields", "field"),
    [
        ("start_session", START, "duration"),
        ("extend_session", {}, "additionalMinutes"),
        ("create_preferences", {}, "maxDistanceKm"),
        ("create_preferences", {}, "minAge"),
        ("update_preferences", {}, "maxAge"),
    ],
)
def test_no_other_value_is_a_whole_number(function: str, fields: dict[str, Any], field: str, value: str) -> None:
    refused = Phone().call(function, body=written(fields, field, value))
    assert (refused.status, refused.body["code"]) == (400, "VALIDATION_ERROR")
    constant = "NaN" in value or "Infinity" in value  # these are not JSON at all
    assert [error["field"] for error in refused.body["errors"]] == ["body" if constant else field]


def test_null_on_creation_is_the_same_as_absent(world: World) -> None:
    phone = Phone()
    nothing = dict.fromkeys(("seekingGender", "maxDistanceKm", "minAge", "maxAge"))
    created = phone.create_preferences(**nothing)
    world.rows("DELETE FROM after_hours_preferences")
    assert created == phone.create_preferences()
    assert created.seeking_gender == "Female", "not the main profile's"


@pytest.mark.usefixtures("world")
def test_an_orientation_of_null_on_creation_is_a_choice() -> None:
    assert Phone().create_preferences(sexualOrientation=None).sexual_orientation is None


@pytest.mark.usefixtures("world")
def test_every_optional_field_of_a_post_may_be_null() -> None:
    phone = Phone()
    phone.create_profile(description=None)
    phone.start(deviceFingerprint=dict.fromkeys(("deviceId", "deviceModel", "platform")))
    phone.extend(15, expiresAt=None)
    phone.end()
    phone.start(deviceFingerprint=None)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("function", "fields", "field"),
    [
        ("start_session", START, "duration"),
        ("start_session", START, "latitude"),
        ("start_session", START, "longitude"),
        ("extend_session", {}, "additionalMinutes"),
    ],
)
def test_a_required_field_of_null_is_missing(function: str, fields: dict[str, Any], field: str) -> None:
    refused = Phone().call(function, body=fields | {field: None})
    assert refused.body["errors"] == [{"field": field, "message": "This field is required"}]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("function", ["create_profile", "create_preferences", "start_session", "extend_session"])
def test_an_unknown_field_is_refused_even_when_it_is_null(function: str) -> None:
    refused = Phone().call(function, body={"unknown": None})
    assert {"field": "unknown", "message": "This field is not known"} in refused.body["errors"]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("field", ["seekingGender", "maxDistanceKm", "minAge", "maxAge"])
def test_a_change_to_null_is_refused_by_name_where_nothing_can_be_cleared(field: str) -> None:
    phone = Phone()
    phone.create_preferences()
    refused = phone.call("update_preferences", body={field: None})
    assert (refused.status, [error["field"] for error in refused.body["errors"]]) == (400, [field])


@pytest.mark.usefixtures("world")
def test_a_change_to_null_clears_what_can_be_cleared() -> None:
    phone = Phone()
    phone.create_preferences(sexualOrientation="Queer")
    phone.create_profile(description="before")
    assert phone.update_preferences(sexualOrientation=None).sexual_orientation is None
    assert phone.update_profile(description=None).description is None
