"""Nothing a phone can send gives a 5xx, is converted in silence, or reaches the database."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.handlers import Answer
from tests.support.phone import START, VALID_BODIES, Phone
from tests.support.world import World

TABLES = ("after_hours_profiles", "after_hours_sessions", "device_fingerprints", "after_hours_preferences")

NOT_OBJECTS = {
    "nothing": "",
    "white space": "  ",
    "not JSON": "{description: x}",
    "cut off": '{"description": "x',
    "text": '"x"',
    "number": "1",
    "null": "null",
    "array": "[]",
    "array of objects": "[{}]",
    "NaN": "NaN",
    "two objects": "{}{}",
    "byte order mark": "\ufeff{}",
    "raw NUL": '{"description": "\0"}',
    "deep nesting": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "a number of 5,000 digits": '{"description": ' + "9" * 5_000 + "}",
}


def assert_invalid(answer: Answer, field: str | None = None) -> None:
    assert (answer.status, answer.body["success"], answer.body["code"]) == (400, False, "VALIDATION_ERROR"), answer
    assert answer.body["errors"]
    assert all(set(error) == {"field", "message"} and error["message"] for error in answer.body["errors"])
    if field is not None:
        assert field in [error["field"] for error in answer.body["errors"]]


@pytest.fixture
def snapshot(world: World) -> Callable[[], list[Any]]:
    return lambda: [world.rows(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]


@pytest.fixture(params=VALID_BODIES)
def function(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("body", NOT_OBJECTS.values(), ids=NOT_OBJECTS)
def test_what_is_not_a_json_object_is_refused(phone: Phone, snapshot: Any, function: str, body: str) -> None:
    before = snapshot()
    assert_invalid(phone.call(function, body=body))
    assert snapshot() == before


def test_no_body_at_all_is_refused(phone: Phone, function: str) -> None:
    assert_invalid(phone.call(function), "body")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_content_type_is_refused(phone: Phone, snapshot: Any, function: str, content_type: str) -> None:
    before = snapshot()
    headers = {"content-type": content_type}
    assert_invalid(phone.call(function, body=VALID_BODIES[function], extra_headers=headers), "content-type")
    assert snapshot() == before


@pytest.mark.parametrize("body", ["!", "e30", base64.b64encode(b"\xff\xfe").decode(), base64.b64encode(b"[]").decode()])
def test_a_base64_flagged_body_that_hides_no_object_is_refused(phone: Phone, function: str, body: str) -> None:
    assert_invalid(phone.call(function, body=body, isBase64Encoded=True), "body")


def test_a_base64_flagged_body_is_read(phone: Phone) -> None:
    body = base64.b64encode(json.dumps(VALID_BODIES["create_profile"]).encode()).decode()
    assert phone.call("create_profile", body=body, isBase64Encoded=True).status == 201


@pytest.mark.parametrize("name", ["unknown", "userId", "user_id", "", "\0", "\ud800", "a" * 100_000])
def test_an_unknown_field_is_refused_by_name(phone: Phone, snapshot: Any, function: str, name: str) -> None:
    before = snapshot()
    answer = phone.call(function, body=VALID_BODIES[function] | {name: 1})
    assert_invalid(answer, name if name in {"unknown", "userId", "user_id"} else None)
    assert len(json.dumps(answer.body)) < 10_000
    assert snapshot() == before


def test_a_million_unknown_fields_get_a_small_answer(phone: Phone, function: str) -> None:
    answer = phone.call(function, body={f"field{i}": i for i in range(100_000)})
    assert_invalid(answer)
    assert len(json.dumps(answer.body)) < 10_000


WRONG_MINUTES = ["30", "30.0", 30.5, 20.0, 1e300, True, [30], [], {}, None, 14, 0, -15, 31, 10**400]


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize("value", WRONG_MINUTES, ids=repr)
@pytest.mark.parametrize(
    ("function", "field"), [("start_session", "duration"), ("extend_session", "additionalMinutes")]
)
def test_only_15_30_and_60_are_minutes(phone: Phone, snapshot: Any, function: str, field: str, value: Any) -> None:
    before = snapshot()
    assert_invalid(phone.call(function, body=VALID_BODIES[function] | {field: value}), field)
    assert snapshot() == before


WRONG_DEGREES = [
    '"52.5"',
    "[52.5]",
    "[]",
    "{}",
    "true",
    "null",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "181",
    "-180.1",
]


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize("value", WRONG_DEGREES)
@pytest.mark.parametrize("field", ["latitude", "longitude"])
def test_only_degrees_in_range_are_a_place(phone: Phone, snapshot: Any, field: str, value: str) -> None:
    before = snapshot()
    body = json.dumps(START | {field: "VALUE"}).replace('"VALUE"', value)
    assert_invalid(
        phone.call("start_session", body=body), field if value not in {"NaN", "Infinity", "-Infinity"} else "body"
    )
    assert snapshot() == before


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize("missing", ["duration", "latitude", "longitude"])
def test_a_start_needs_all_three(phone: Phone, missing: str) -> None:
    body = {name: value for name, value in START.items() if name != missing}
    assert_invalid(phone.call("start_session", body=body), missing)


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(("latitude", "longitude"), [(0, 0), (0.0, -0.0), (90.1, 0), (0, 180.1)])
def test_null_island_and_beyond_are_no_place(phone: Phone, latitude: float, longitude: float) -> None:
    assert_invalid(phone.call("start_session", body=START | {"latitude": latitude, "longitude": longitude}))


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(("latitude", "longitude"), [(90, 180), (-90, -180), (0, 1), (1, 0), (0.00001, 0)])
def test_the_ends_of_the_earth_are_places(phone: Phone, latitude: float, longitude: float) -> None:
    body = START | {"latitude": latitude, "longitude": longitude}
    assert phone.call("start_session", body=body).status == 201


def test_every_bad_field_is_named_at_once(phone: Phone) -> None:
    answer = phone.call("start_session", body={"duration": "30", "latitude": 91, "extra": 1})
    fields = sorted(error["field"] for error in answer.body["errors"])
    assert fields == ["duration", "extra", "latitude", "longitude"]


BAD_TEXTS = [1, 1.5, True, [], ["x"], {}, {"a": "b"}, "\0", "a\0b", "\ud800", "x\udfff", "x" * 501, "😀" * 501]


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda text: ascii(text)[:20])
@pytest.mark.parametrize("function", ["create_profile", "update_profile"])
def test_a_description_is_text_that_can_be_stored(phone: Phone, snapshot: Any, function: str, text: Any) -> None:
    before = snapshot()
    assert_invalid(phone.call(function, body={"description": text}), "description")
    assert snapshot() == before


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("device", "field"),
    [
        ("phone", "deviceFingerprint"),
        ([], "deviceFingerprint"),
        ({"deviceId": 1}, "deviceFingerprint.deviceId"),
        ({"deviceId": "x" * 256}, "deviceFingerprint.deviceId"),
        ({"deviceModel": "x" * 101}, "deviceFingerprint.deviceModel"),
        ({"platform": "x" * 21}, "deviceFingerprint.platform"),
        ({"platform": "\0"}, "deviceFingerprint.platform"),
        ({"other": "x"}, "deviceFingerprint.other"),
    ],
)
def test_a_device_is_described_by_short_texts(phone: Phone, snapshot: Any, device: Any, field: str) -> None:
    before = snapshot()
    assert_invalid(phone.call("start_session", body=START | {"deviceFingerprint": device}), field)
    assert snapshot() == before


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(categories=("L", "N", "P", "Z", "C", "S", "M"))),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=12), children, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_arbitrary_json_never_gives_a_server_error(phone: Phone, function: str, data: st.DataObject) -> None:
    fields = st.sampled_from([*VALID_BODIES[function], "deviceFingerprint"])
    body = data.draw(json_values | st.dictionaries(fields, json_values, max_size=5))
    answer = phone.call(function, body=json.dumps(body))
    assert answer.status < 500, body


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.text() | st.binary().map(lambda b: base64.b64encode(b).decode()), flagged=st.booleans())
def test_arbitrary_bytes_never_give_a_server_error(phone: Phone, function: str, body: str, flagged: bool) -> None:
    assert phone.call(function, body=body, isBase64Encoded=flagged).status < 500
