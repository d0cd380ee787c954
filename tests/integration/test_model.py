"""Whatever JSON a phone sends, in whatever order, profile and preferences behave like a simple model of them."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.support.handlers import Answer
from tests.support.phone import Phone

type Model = dict[str, Any] | None

CREATED_PREFERENCES = {
    "seekingGender": "Female",
    "maxDistanceKm": 10,
    "minAge": 18,
    "maxAge": 99,
    "sexualOrientation": "Straight",
}
ENUMS: dict[str, set[str | None]] = {
    "seekingGender": {"Any", "Male", "Female", "Non-binary"},
    "sexualOrientation": {"Straight", "Gay", "Bisexual", "Pansexual", "Queer", "Other", None},
}
RANGES = {"maxDistanceKm": (1, 200), "minAge": (18, 99), "maxAge": (18, 99)}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["\0", "\ud800", "x" * 501, "😀" * 500, "  padded  ", "", "18"])
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
ages = st.integers(16, 101) | st.sampled_from([None, 20.0]) | anything
plausible_preferences = st.fixed_dictionaries(
    {},
    optional={
        "seekingGender": st.sampled_from(["Any", "Male", "Female", "Non-binary", "male", None]) | anything,
        "maxDistanceKm": st.integers(0, 201) | st.sampled_from([30.0, 30.5, None]) | anything,
        "minAge": ages,
        "maxAge": ages,
        "sexualOrientation": st.sampled_from(["Gay", "Other", "gay", None]) | anything,
        "unknown": anything,
    },
)
plausible_profiles = st.fixed_dictionaries({}, optional={"description": anything, "userId": anything})
bodies_of_profiles = plausible_profiles | anything
bodies_of_preferences = plausible_preferences | anything


def valid_profile(body: Any) -> bool:
    if not isinstance(body, dict) or body.keys() - {"description"}:
        return False
    text = body.get("description")
    return text is None or (isinstance(text, str) and storable(text) and len(text.strip()) <= 500)


def storable(text: str) -> bool:
    return "\0" not in text and not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def read_as_json(body: Any) -> Any:
    """A number may be written as a double: 30.0 is 30."""
    if not isinstance(body, dict):
        return body
    return {
        field: int(value) if field in RANGES and type(value) is float and value.is_integer() else value
        for field, value in body.items()
    }


def without_nulls(body: Any) -> Any:
    """On creation, null is the same as absent, but for the orientation, of which it says that there is none."""
    if not isinstance(body, dict):
        return body
    left_out = CREATED_PREFERENCES.keys() - {"sexualOrientation"}
    return {field: value for field, value in body.items() if value is not None or field not in left_out}


def valid_preferences(body: Any) -> bool:
    if not isinstance(body, dict) or body.keys() - CREATED_PREFERENCES.keys():
        return False
    for field, value in body.items():
        if field in ENUMS and not (isinstance(value, str | None) and value in ENUMS[field]):
            return False
        if field in RANGES and not (type(value) is int and RANGES[field][0] <= value <= RANGES[field][1]):
            return False
    return not {"minAge", "maxAge"} <= body.keys() or body["minAge"] <= body["maxAge"]


class Story(RuleBasedStateMachine):
    phone = Phone()

    def __init__(self) -> None:
        super().__init__()
        self.profile: Model = None
        self.preferences: Model = None

    @initialize()
    def leave_whatever_was(self) -> None:
        if self.phone.call("get_profile").status == 404:
            self.phone.call("create_profile", body={})
        assert self.phone.call("delete_profile").status == 204

    @rule(body=bodies_of_profiles)
    def create_profile(self, body: Any) -> None:
        answer = self.phone.call("create_profile", body=json.dumps(body))
        if not valid_profile(body):
            assert answer.status == 400, answer
        elif self.profile is not None:
            assert answer.status == 409
        else:
            assert answer.status == 201
            self.profile = {"description": (body.get("description") or "").strip() or None}
            self.agrees(answer)

    @rule(body=bodies_of_profiles)
    def update_profile(self, body: Any) -> None:
        answer = self.phone.call("update_profile", body=json.dumps(body))
        if not valid_profile(body) or not body:
            assert answer.status == 400, answer
        elif self.profile is None:
            assert answer.status == 404
        else:
            assert answer.status == 200
            self.profile = {"description": (body["description"] or "").strip() or None}
            self.agrees(answer)

    @rule()
    def get_profile(self) -> None:
        answer = self.phone.call("get_profile")
        assert answer.status == (404 if self.profile is None else 200)
        if self.profile is not None:
            self.agrees(answer)

    @rule()
    def delete_profile(self) -> None:
        answer = self.phone.call("delete_profile")
        assert answer.status == (404 if self.profile is None and self.preferences is None else 204)
        self.profile = self.preferences = None

    @rule(body=bodies_of_preferences)
    def create_preferences(self, body: Any) -> None:
        answer = self.phone.call("create_preferences", body=json.dumps(body))
        body = without_nulls(read_as_json(body))
        if not valid_preferences(body):
            assert answer.status == 400, answer
        elif self.preferences is not None:
            assert answer.status == 409
        else:
            assert answer.status == 201
            self.preferences = CREATED_PREFERENCES | body
            assert answer.body["preferences"] == self.preferences

    @rule(body=bodies_of_preferences)
    def update_preferences(self, body: Any) -> None:
        answer = self.phone.call("update_preferences", body=json.dumps(body))
        body = read_as_json(body)
        if not valid_preferences(body) or not body:
            assert answer.status == 400, answer
        elif self.preferences is None:
            assert answer.status == 404
        else:
            changed = self.preferences | body
            if changed["minAge"] > changed["maxAge"]:
                assert answer.status == 400, answer
            else:
                assert answer.status == 200
                self.preferences = changed
                assert answer.body["preferences"] == changed

    @rule()
    def get_preferences(self) -> None:
        answer = self.phone.call("get_preferences")
        assert answer.status == (404 if self.preferences is None else 200)
        if self.preferences is not None:
            assert answer.body["preferences"] == self.preferences

    def agrees(self, answer: Answer) -> None:
        assert self.profile is not None
        assert answer.body["profile"]["description"] == self.profile["description"]


@pytest.mark.slow
def test_phones_and_model_agree(phone: Phone) -> None:
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
