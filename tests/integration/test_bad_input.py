"""Nothing that a phone can send gives a 5xx, is converted silently, or reaches the database.

Each type of field has its bad values in one table, sent to one endpoint that has such a field. `test_fuzz` sends random
bodies to every endpoint.
"""

import base64
import copy
import json
from typing import Any

import pytest

from tests.support.handlers import Answer
from tests.support.phone import START, Phone
from tests.support.world import World
from tools.local.samples import samples

EVENTS = {function: named["valid"].event("") for function, named in samples().items()}
VALID_BODIES = {function: json.loads(event["body"]) for function, event in EVENTS.items() if "body" in event}

NOT_TEXT = ["1", "1.5", "true", "[]", '["x"]', "{}"]
NOT_STORABLE = [r'"\u0000"', r'"a\u0000b"', r'"\ud800"', r'"x\udfff"']
NOT_WHOLE = ['"30"', '"30.0"', "30.5", "3e-1", "1e300", "1e400", "true", "[30]", "[]", "{}", "1" + "0" * 400]
NOT_A_NAME = [*NOT_TEXT, *NOT_STORABLE, '"straight"', '"male"', '"Non-Binary"', '""', r'"Male\u0000"']

# Endpoint and field → values that are refused, as JSON. A field that is required refuses null, too.
BAD_VALUES = {
    ("update_profile", "description"): [*NOT_TEXT, *NOT_STORABLE, f'"{"x" * 501}"', f'"{"😀" * 501}"'],
    ("start_session", "duration"): [*NOT_WHOLE, "null", "14", "0", "-15", "20.0", "31"],
    ("start_session", "latitude"): [
        '"52.5"', "[52.5]", "[]", "{}", "true", "null", "1e400", "-1e400", "90.1", "-90.1",
    ],
    ("start_session", "longitude"): ["180.1", "-180.1"],
    ("start_session", "deviceFingerprint"): ['"phone"', "[]", "1"],
    ("start_session", "deviceFingerprint.deviceId"): [*NOT_TEXT, *NOT_STORABLE, f'"{"x" * 256}"'],
    ("start_session", "deviceFingerprint.deviceModel"): [f'"{"x" * 101}"'],
    ("start_session", "deviceFingerprint.platform"): [f'"{"x" * 21}"'],
    ("extend_session", "expiresAt"): [
        *NOT_TEXT, *NOT_STORABLE, '""', '"soon"', '"2026-11-24"', '"2026-11-24T18:00:00"', "1795557600",
        '"9999-12-31T23:59:59-23:59"', '"0001-01-01T00:00:00+23:59"',
    ],
    ("create_preferences", "seekingGender"): NOT_A_NAME,
    ("create_preferences", "sexualOrientation"): NOT_A_NAME,
    ("create_preferences", "maxDistanceKm"): [*NOT_WHOLE, "0", "-1", "201"],
    ("create_preferences", "minAge"): [*NOT_WHOLE, "17", "100"],
}  # fmt: skip
NOT_OBJECTS = [
    "", "  ", "{description: x}", '{"description": "x', "null", "[{}]", "{}{}", "\ufeff{}",
    '{"description": NaN}', '{"description": -Infinity}', '{"description": "\0"}', "[" * 20_000 + "]" * 20_000,
    '{"description": ' + "9" * 5_000 + "}", '{"description": "x", ' + " " * 50_000 + "}",
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("profile")


def body(function: str, field: str, value: str) -> str:
    """A valid body but for this field, with the value as it stands: Python's own writer knows one way for a number."""
    content: dict[str, Any] = copy.deepcopy(VALID_BODIES[function])
    *outer, name = field.split(".")
    (content.setdefault(outer[0], {}) if outer else content)[name] = "VALUE"
    return json.dumps(content).replace('"VALUE"', value)


def bad_fields(answer: Answer) -> set[str]:
    """The fields that a refusal names. Empty for any other answer."""
    if (answer.status, answer.body["success"], answer.body["code"]) != (400, False, "VALIDATION_ERROR"):
        return set()
    assert len(json.dumps(answer.body)) < 10_000
    assert all(set(error) == {"field", "message"} and error["message"] for error in answer.body["errors"])
    return {error["field"] for error in answer.body["errors"]}


def stored(world: World) -> list[Any]:
    tables = ("after_hours_profiles", "after_hours_sessions", "device_fingerprints", "after_hours_preferences")
    return [world.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


@pytest.mark.parametrize(("function", "field"), BAD_VALUES)
def test_a_bad_value_is_refused_by_the_name_of_its_field(phone: Phone, world: World, function: str, field: str) -> None:
    before = stored(world)
    answers = {value: phone.call(function, body=body(function, field, value)) for value in BAD_VALUES[function, field]}
    assert [value for value, answer in answers.items() if bad_fields(answer) != {field}] == []
    assert stored(world) == before


def test_what_is_not_a_json_object_is_refused(phone: Phone, world: World) -> None:
    before = stored(world)
    for text in NOT_OBJECTS:
        assert bad_fields(phone.call("update_profile", body=text)) == {"body"}, text[:50]
    for encoded in ("!", "e30", base64.b64encode(b"\xff\xfe").decode(), base64.b64encode(b"[]").decode()):
        assert bad_fields(phone.call("update_profile", body=encoded, isBase64Encoded=True)) == {"body"}, encoded
    assert bad_fields(phone.call("update_profile")) == {"body"}
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"authorization": f"Bearer {phone.token}", "content-type": content_type}
        assert bad_fields(phone.call("update_profile", body="{}", headers=headers)) == {"content-type"}, content_type
    assert stored(world) == before
    encoded = base64.b64encode(b'{"description": "read"}').decode()
    assert phone.call("update_profile", body=encoded, isBase64Encoded=True).body["profile"]["description"] == "read"


@pytest.mark.parametrize("function", VALID_BODIES)
def test_unknown_fields_are_refused_by_name(phone: Phone, world: World, function: str) -> None:
    before = stored(world)
    for name in ("unknown", "userId", "user_id", "interests", ""):
        for value in (1, None):
            assert bad_fields(phone.call(function, body=VALID_BODIES[function] | {name: value})) == {name or "body"}
    odd = {"\0": 1, "\ud800": 1, "a" * 10_000: 1} | {f"field{i}": i for i in range(2_000)}
    assert bad_fields(phone.call(function, body=VALID_BODIES[function] | odd))
    assert stored(world) == before


def test_every_bad_field_is_named_at_once(phone: Phone) -> None:
    answer = phone.call("start_session", body={"duration": "30", "latitude": 91, "extra": 1})
    assert bad_fields(answer) == {"duration", "extra", "latitude", "longitude"}
    null_island = phone.call("start_session", body=START | {"latitude": 0, "longitude": -0.0})
    assert bad_fields(null_island) == {"latitude", "longitude"}


@pytest.mark.parametrize("field", ["maxAge", "minAge"])
def test_ages_do_not_cross(phone: Phone, field: str) -> None:
    """Of two that were sent the second is named; of one that was sent and one that is stored, the first."""
    for function in ("create_preferences", "update_preferences"):
        assert bad_fields(phone.call(function, body={"minAge": 41, "maxAge": 40})) == {"maxAge"}
    before = phone.create_preferences(minAge=30, maxAge=40)
    past = {"maxAge": 29, "minAge": 41}[field]
    assert bad_fields(phone.call("update_preferences", body={field: past, "maxDistanceKm": 1})) == {field}
    assert phone.preferences() == before


def test_a_whole_number_is_one_however_it_is_written(phone: Phone) -> None:
    """Dart writes whole numbers as doubles."""
    started = phone.call("start_session", body=body("start_session", "duration", "3e1"))
    assert started.body["session"]["durationMinutes"] == 30
    created = phone.call("create_preferences", body='{"maxDistanceKm": 30.0}')
    assert repr(created.body["preferences"]["maxDistanceKm"]) == "30"


def test_null_in_a_post_is_the_same_as_absent_but_for_an_orientation(phone: Phone, world: World) -> None:
    created = phone.create_preferences(
        **dict.fromkeys(("seekingGender", "maxDistanceKm", "minAge", "maxAge", "sexualOrientation"))
    )
    world.rows("DELETE FROM after_hours_preferences")
    assert created == phone.create_preferences().model_copy(update={"sexual_orientation": None})
    for device in (None, dict.fromkeys(("deviceId", "deviceModel", "platform"))):
        phone.start(deviceFingerprint=device)
        phone.extend(15, expiresAt=None)
        phone.end()
    refused = phone.call("extend_session", body={"additionalMinutes": None})
    assert refused.body["errors"] == [{"field": "additionalMinutes", "message": "This field is required"}]
    phone.leave()
    assert phone.create_profile(description=None).description is None
