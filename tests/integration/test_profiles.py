"""Profiles: a text of its own, a name and an age from the main profile. Stories of calls are in `test_model`."""

from tests.support.phone import Phone
from tests.support.world import World


def test_a_new_profile_takes_name_and_age_from_the_main_profile(phone: Phone) -> None:
    answer = phone.call("create_profile", body={"description": "  late coffee  "})
    assert (answer.status, answer.body["success"]) == (201, True)
    profile = answer.body["profile"]
    assert profile["createdAt"].endswith("Z")
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


def test_name_and_age_follow_the_main_profile(phone: Phone, world: World) -> None:
    phone.create_profile()
    world.rows("UPDATE profiles SET name = 'Sascha', age = 30 WHERE user_id = 'local-entitled'")
    profile = phone.profile()
    assert (profile.name, profile.age) == ("Sascha", 30)


def test_an_update_moves_updated_at_and_keeps_created_at(phone: Phone) -> None:
    before = phone.create_profile()
    after = phone.update_profile(description="new")
    assert after.created_at == before.created_at
    assert after.updated_at > before.updated_at
