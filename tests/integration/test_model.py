"""Whatever valid calls a phone makes, in whatever order, profile and preferences behave like a simple model of them."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.support.phone import Phone

type Model = dict[str, Any] | None

# The defaults of a straight man
CREATED = {
    "seekingGender": "Female",
    "maxDistanceKm": 10,
    "minAge": 18,
    "maxAge": 99,
    "sexualOrientation": "Straight",
}

texts = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
profiles = st.fixed_dictionaries({}, optional={"description": texts | st.sampled_from(["😀" * 500, "  padded\n", ""])})
ages = st.integers(18, 99) | st.sampled_from([18, 20.0, 99])
preferences = st.fixed_dictionaries(
    {},
    optional={
        "seekingGender": st.sampled_from(["Any", "Male", "Female", "Non-binary"]),
        "maxDistanceKm": st.integers(1, 200) | st.sampled_from([1, 30.0, 200]),
        "minAge": ages,
        "maxAge": ages,
        "sexualOrientation": st.sampled_from(["Straight", "Gay", "Bisexual", "Pansexual", "Queer", "Other", None]),
    },
)


class Story(RuleBasedStateMachine):
    phone = Phone()

    def __init__(self) -> None:
        super().__init__()
        self.profile: Model = None
        self.preferences: Model = None

    def asked(self, function: str, body: Any = None) -> tuple[int, Any]:
        """The status, and what there is of the profile or the preferences."""
        answer = self.phone.call(function, body=body)
        if answer.status >= 400 or answer.body is None:
            return answer.status, None
        [content] = [content for name, content in answer.body.items() if name != "success"]
        return answer.status, {"description": content["description"]} if "description" in content else content

    @initialize()
    def leave_whatever_was(self) -> None:
        self.asked("create_preferences", {})
        assert self.asked("delete_profile") == (204, None)

    @rule(body=profiles)
    def create_profile(self, body: dict[str, Any]) -> None:
        expected = {"description": (body.get("description") or "").strip() or None}
        answer = self.asked("create_profile", body)
        assert answer == ((201, expected) if self.profile is None else (409, None))
        self.profile = self.profile or expected

    @rule(body=profiles)
    def update_profile(self, body: dict[str, Any]) -> None:
        answer = self.asked("update_profile", body)
        if not body:
            assert answer == (400, None)
        elif self.profile is None:
            assert answer == (404, None)
        else:
            self.profile = {"description": (body["description"] or "").strip() or None}
            assert answer == (200, self.profile)

    @rule(body=preferences)
    def create_preferences(self, body: dict[str, Any]) -> None:
        answer = self.asked("create_preferences", body)
        if body.get("minAge", 18) > body.get("maxAge", 99):
            assert answer == (400, None)
        elif self.preferences is not None:
            assert answer == (409, None)
        else:
            self.preferences = CREATED | body
            assert answer == (201, self.preferences)

    @rule(body=preferences)
    def update_preferences(self, body: dict[str, Any]) -> None:
        answer = self.asked("update_preferences", body)
        if not body or ({"minAge", "maxAge"} <= body.keys() and body["minAge"] > body["maxAge"]):
            assert answer == (400, None)
        elif self.preferences is None:
            assert answer == (404, None)
        elif (changed := self.preferences | body)["minAge"] > changed["maxAge"]:
            assert answer == (400, None)
        else:
            self.preferences = changed
            assert answer == (200, changed)

    @rule()
    def read_both(self) -> None:
        assert self.asked("get_profile") == ((404, None) if self.profile is None else (200, self.profile))
        assert self.asked("get_preferences") == ((404, None) if self.preferences is None else (200, self.preferences))

    @rule()
    def delete_profile(self) -> None:
        there = self.profile is not None or self.preferences is not None
        assert self.asked("delete_profile") == (204 if there else 404, None)
        self.profile = self.preferences = None


@pytest.mark.slow
def test_phones_and_model_agree(phone: Phone) -> None:
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
