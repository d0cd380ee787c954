"""Profiles and preferences: what the main profile gives them, what a PATCH changes, and two phones at once.

`test_bad_input` has the values that are refused.
"""

from contextlib import suppress
from functools import partial

import pytest
from after_hours.entrypoints.errors import InvalidRequest
from after_hours.foundation.database import Database
from after_hours.members import preferences

from tests.support.phone import Phone
from tests.support.world import World

SEEKING = {
    ("Male", "Straight"): "Female",
    ("Female", "Straight"): "Male",
    ("Male", "Gay"): "Male",
    ("Female", "Gay"): "Female",
}
KNOWN = ["Straight", "Gay", "Bisexual", "Pansexual"]


def test_a_profile_takes_name_and_age_from_the_main_profile_on_every_answer(phone: Phone, world: World) -> None:
    created = phone.create_profile()
    assert (created.name, created.age, created.updated_at) == ("Alex", 29, created.created_at)
    world.rows("UPDATE profiles SET name = 'Sascha', age = 30 WHERE user_id = 'local-entitled'")
    assert phone.profile() == created.model_copy(update={"name": "Sascha", "age": 30})
    updated = phone.update_profile(description="new")
    assert (updated.name, updated.age, updated.created_at) == ("Sascha", 30, created.created_at)
    assert updated.updated_at > created.updated_at


@pytest.mark.parametrize(
    ("text", "stored"), [("😀" * 500, "😀" * 500), ("  padded\n", "padded"), (" ", None), (None, None)]
)
def test_a_text_is_trimmed_and_null_or_white_space_clears_it(
    phone: Phone, text: str | None, stored: str | None
) -> None:
    assert phone.create_profile(description=text).description == stored
    phone.update_profile(description="before")
    assert phone.update_profile(description=text).description == phone.profile().description == stored


def test_a_patch_changes_what_is_sent_and_nothing_else(phone: Phone) -> None:
    expected = phone.create_preferences(minAge=30, maxAge=40).model_dump(by_alias=True)
    for sent in (
        {"maxDistanceKm": 200}, {"sexualOrientation": None}, {"seekingGender": "Non-binary"}, {"minAge": 40.0},
        {"minAge": 41, "maxAge": 99}, {"maxAge": 41, "sexualOrientation": "Queer"},
    ):  # fmt: skip
        expected |= sent
        assert phone.update_preferences(**sent) == phone.preferences()
        assert phone.preferences().model_dump(by_alias=True) == expected
    for function in ("update_profile", "update_preferences"):
        assert phone.call(function, body={}).status == 400


@pytest.mark.parametrize("preference", [*KNOWN, "Queer?", None])
def test_gender_and_orientation_come_from_the_main_profile(phone: Phone, world: World, preference: str | None) -> None:
    for gender in ("Male", "Female", "Non-Binary", "male", None):
        world.rows("DELETE FROM after_hours_preferences")
        world.rows("UPDATE profiles SET gender = %s, sexual_preference = %s", gender, preference)
        created = phone.create_preferences()
        assert created.seeking_gender == SEEKING.get((str(gender), str(preference)), "Any"), gender
        assert created.sexual_orientation == (preference if preference in KNOWN else None)


def test_without_a_main_profile_there_are_defaults_all_the_same(phone: Phone, world: World) -> None:
    world.rows("DELETE FROM profiles")
    assert phone.create_preferences().model_dump(by_alias=True) == {
        "seekingGender": "Any", "maxDistanceKm": 10, "minAge": 18, "maxAge": 99, "sexualOrientation": None,
    }  # fmt: skip


def test_two_phones_that_each_send_one_age_never_cross_them(world: World) -> None:
    def send(change: dict[str, int], database: Database) -> None:
        with suppress(InvalidRequest):
            preferences.update(database, "local-entitled", preferences.UpdatePreferences.model_validate(change))

    for _ in range(5):
        world.rows("DELETE FROM after_hours_preferences")
        world.rows("INSERT INTO after_hours_preferences (user_id, min_age, max_age) VALUES ('local-entitled', 30, 40)")
        world.at_once(*[partial(send, change) for change in ({"minAge": 38}, {"maxAge": 32})] * 4)
        ((low, high),) = world.rows("SELECT min_age, max_age FROM after_hours_preferences")
        assert (low, high) in {(38, 40), (30, 32)}
