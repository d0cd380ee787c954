"""Profiles: a text of its own, a name and an age from the main profile."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.handlers import Answer

type Call = Callable[..., Answer]


def test_a_new_profile_takes_name_and_age_from_the_main_profile(call: Call) -> None:
    answer = call("create_profile", body={"description": "  late coffee  "})
    assert answer.status == 201
    profile = answer.body["profile"]
    assert answer.body["success"] is True
    assert profile.pop("createdAt") == profile.pop("updatedAt")
    assert profile == {
        "userId": "local-entitled",
        "name": "Alex",
        "age": 29,
        "description": "late coffee",
        "photoUrl": None,
        "thumbnailUrl": None,
        "photoStatus": "none",
    }


def test_times_are_utc_with_z(call: Call) -> None:
    created_at = call("create_profile", body={}).body["profile"]["createdAt"]
    assert created_at.endswith("Z")


def test_a_second_profile_is_refused_and_the_first_stays(call: Call) -> None:
    call("create_profile", body={"description": "first"})
    again = call("create_profile", body={"description": "second"})
    assert (again.status, again.body["code"]) == (409, "PROFILE_EXISTS")
    assert call("get_profile").body["profile"]["description"] == "first"


def test_name_and_age_follow_the_main_profile(call: Call, rows: Any) -> None:
    call("create_profile", body={})
    rows("UPDATE profiles SET name = 'Sascha', age = 30 WHERE user_id = 'local-entitled'")
    profile = call("get_profile").body["profile"]
    assert (profile["name"], profile["age"]) == ("Sascha", 30)


@pytest.mark.parametrize("function", ["get_profile", "update_profile"])
def test_without_a_profile_there_is_none_to_read_or_change(call: Call, function: str) -> None:
    answer = call(function, body={"description": "x"})
    assert (answer.status, answer.body["code"]) == (404, "PROFILE_NOT_FOUND")


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("new", "new"), ("  new\n", "new"), (None, None), ("", None), ("   ", None), ("😀" * 500, "😀" * 500)],
)
def test_an_update_sets_trims_or_clears_the_description(call: Call, sent: str | None, stored: str | None) -> None:
    call("create_profile", body={"description": "old"})
    answer = call("update_profile", body={"description": sent})
    assert answer.status == 200
    assert answer.body["profile"]["description"] == stored
    assert call("get_profile").body["profile"]["description"] == stored


def test_an_update_moves_updated_at_and_keeps_created_at(call: Call) -> None:
    before = call("create_profile", body={}).body["profile"]
    after = call("update_profile", body={"description": "new"}).body["profile"]
    assert after["createdAt"] == before["createdAt"]
    assert after["updatedAt"] > before["updatedAt"]


def test_an_empty_update_is_refused(call: Call) -> None:
    call("create_profile", body={})
    answer = call("update_profile", body={})
    assert (answer.status, answer.body["code"]) == (400, "VALIDATION_ERROR")
