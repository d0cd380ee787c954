"""Profiles: a text of its own, a name and an age from the main profile."""

from collections.abc import Callable

import pytest

from tests.support.phone import Phone, refused
from tests.support.world import World


def test_a_new_profile_takes_name_and_age_from_the_main_profile(phone: Phone) -> None:
    answer = phone.call("create_profile", body={"description": "  late coffee  "})
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


def test_times_are_utc_with_z(phone: Phone) -> None:
    created_at = phone.call("create_profile", body={}).body["profile"]["createdAt"]  # as it is written
    assert created_at.endswith("Z")


def test_a_second_profile_is_refused_and_the_first_stays(phone: Phone) -> None:
    phone.create_profile(description="first")
    with refused("409 PROFILE_EXISTS"):
        phone.create_profile(description="second")
    assert phone.profile().description == "first"


def test_name_and_age_follow_the_main_profile(phone: Phone, world: World) -> None:
    phone.create_profile()
    world.rows("UPDATE profiles SET name = 'Sascha', age = 30 WHERE user_id = 'local-entitled'")
    profile = phone.profile()
    assert (profile.name, profile.age) == ("Sascha", 30)


@pytest.mark.parametrize("use", [Phone.profile, lambda phone: phone.update_profile(description="x")])
def test_without_a_profile_there_is_none_to_read_or_change(phone: Phone, use: Callable[[Phone], object]) -> None:
    with refused("404 PROFILE_NOT_FOUND"):
        use(phone)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("new", "new"), ("  new\n", "new"), (None, None), ("", None), ("   ", None), ("😀" * 500, "😀" * 500)],
)
def test_an_update_sets_trims_or_clears_the_description(phone: Phone, sent: str | None, stored: str | None) -> None:
    phone.create_profile(description="old")
    assert phone.update_profile(description=sent).description == stored
    assert phone.profile().description == stored


def test_an_update_moves_updated_at_and_keeps_created_at(phone: Phone) -> None:
    before = phone.create_profile()
    after = phone.update_profile(description="new")
    assert after.created_at == before.created_at
    assert after.updated_at > before.updated_at


def test_an_empty_update_is_refused(phone: Phone) -> None:
    phone.create_profile()
    with refused("400 VALIDATION_ERROR"):
        phone.update_profile()
