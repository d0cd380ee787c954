"""Preferences: smart defaults once, changes that change what was sent, ages that never cross."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any

import psycopg2
import pytest
from after_hours.entrypoints.errors import InvalidRequest, PreferencesExist
from after_hours.foundation.database import Database
from after_hours.members import preferences
from after_hours.members.preferences import Preferences

from tests.support.phone import Phone, refused
from tests.support.world import World

DEFAULTS = {
    "seekingGender": "Female",  # the entitled member is a straight man
    "maxDistanceKm": 10,
    "minAge": 18,
    "maxAge": 99,
    "sexualOrientation": "Straight",
}


def written(preferences: Preferences) -> dict[str, Any]:
    """As the app reads them."""
    return preferences.model_dump(by_alias=True)


def test_what_is_not_sent_is_filled_in(phone: Phone) -> None:
    assert written(phone.create_preferences()) == DEFAULTS
    assert phone.call("get_preferences").body == {"success": True, "preferences": DEFAULTS}


def test_what_is_sent_is_kept(phone: Phone) -> None:
    sent = {
        "seekingGender": "Non-binary",
        "maxDistanceKm": 200,
        "minAge": 30,
        "maxAge": 30,
        "sexualOrientation": "Queer",
    }
    assert written(phone.create_preferences(**sent)) == sent


def test_an_orientation_sent_as_null_is_none_and_not_the_default(phone: Phone) -> None:
    assert written(phone.create_preferences(sexualOrientation=None)) == DEFAULTS | {"sexualOrientation": None}


GENDERS = ("Male", "Female", "Non-Binary", "", "male", None)
SEXUAL_PREFERENCES = ("Straight", "Gay", "Bisexual", "Pansexual", "", "Queer?", None)
EXPECTED = {
    ("Male", "Straight"): "Female",
    ("Female", "Straight"): "Male",
    ("Male", "Gay"): "Male",
    ("Female", "Gay"): "Female",
}


@pytest.mark.parametrize(("gender", "preference"), list(product(GENDERS, SEXUAL_PREFERENCES)))
def test_whom_the_main_profile_seeks(phone: Phone, world: World, gender: str | None, preference: str | None) -> None:
    world.rows("UPDATE profiles SET gender = %s, sexual_preference = %s", gender, preference)
    created = phone.create_preferences()
    assert created.seeking_gender == EXPECTED.get((str(gender), str(preference)), "Any")
    known = preference in {"Straight", "Gay", "Bisexual", "Pansexual"}
    assert created.sexual_orientation == (preference if known else None)


def test_without_a_main_profile_anybody_is_sought(phone: Phone, world: World) -> None:
    world.rows("DELETE FROM profiles")
    assert written(phone.create_preferences()) == DEFAULTS | {"seekingGender": "Any", "sexualOrientation": None}


def test_an_update_never_fills_in_defaults(phone: Phone, world: World) -> None:
    phone.create_preferences(seekingGender="Any", sexualOrientation=None)
    world.rows("UPDATE profiles SET gender = 'Female', sexual_preference = 'Gay'")
    changed = DEFAULTS | {"seekingGender": "Any", "sexualOrientation": None, "maxDistanceKm": 5}
    assert written(phone.update_preferences(maxDistanceKm=5)) == changed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seekingGender", "Male"),
        ("maxDistanceKm", 1),
        ("minAge", 40),
        ("maxAge", 50),
        ("sexualOrientation", "Other"),
        ("sexualOrientation", None),
    ],
)
def test_an_update_changes_what_was_sent_and_nothing_else(phone: Phone, field: str, value: Any) -> None:
    phone.create_preferences()
    phone.update_preferences(**{field: value})
    assert written(phone.preferences()) == DEFAULTS | {field: value}


@pytest.mark.parametrize("use", [Phone.preferences, lambda phone: phone.update_preferences(minAge=20)])
def test_without_preferences_there_are_none_to_read_or_change(phone: Phone, use: Callable[[Phone], object]) -> None:
    with refused("404 PREFERENCES_NOT_FOUND"):
        use(phone)


def test_a_second_creation_is_refused_and_the_first_stays(phone: Phone) -> None:
    phone.create_preferences(minAge=30)
    with refused("409 PREFERENCES_EXIST"):
        phone.create_preferences(minAge=40)
    assert phone.preferences().min_age == 30


def test_of_two_phones_that_create_at_once_one_succeeds(world: World) -> None:
    sent = preferences.CreatePreferences.model_validate({"minAge": 20})

    def attempt(database: Database) -> bool:
        try:
            preferences.create(database, "local-entitled", sent)
        except PreferencesExist:
            return False
        return True

    assert sum(world.at_once(*[attempt] * 10)) == 1


@pytest.mark.parametrize(
    ("stored", "sent", "field"),
    [({"maxAge": 30}, {"minAge": 31}, "minAge"), ({"minAge": 30}, {"maxAge": 29}, "maxAge")],
)
def test_one_age_may_not_pass_the_other_that_is_stored(phone: Phone, stored: Any, sent: Any, field: str) -> None:
    before = phone.create_preferences(**stored)
    with refused("400 VALIDATION_ERROR") as refusal:
        phone.update_preferences(**sent, maxDistanceKm=1)
    assert refusal.value.fields == [field]
    assert phone.preferences() == before


def test_both_ages_may_move_past_what_is_stored(phone: Phone) -> None:
    phone.create_preferences(minAge=20, maxAge=30)
    phone.update_preferences(minAge=40, maxAge=50)


@pytest.mark.parametrize("send", [Phone.create_preferences, Phone.update_preferences])
def test_crossed_ages_are_refused(phone: Phone, send: Callable[..., Preferences]) -> None:
    with refused("400 VALIDATION_ERROR") as refusal:
        send(phone, minAge=41, maxAge=40)
    assert refusal.value.fields == ["maxAge"]


def test_two_phones_that_each_send_one_age_never_cross_them(world: World) -> None:
    def send(change: dict[str, int], database: Database) -> None:
        with suppress(InvalidRequest):
            preferences.update(database, "local-entitled", preferences.UpdatePreferences.model_validate(change))

    for _ in range(10):
        world.rows("DELETE FROM after_hours_preferences")
        world.rows("INSERT INTO after_hours_preferences (user_id, min_age, max_age) VALUES ('local-entitled', 30, 40)")
        world.at_once(*[partial(send, change) for change in ({"minAge": 38}, {"maxAge": 32})] * 4)
        ((low, high),) = world.rows("SELECT min_age, max_age FROM after_hours_preferences")
        assert (low, high) in {(38, 40), (30, 32)}


@pytest.mark.parametrize(
    "values",
    [
        "min_age = 17",
        "max_age = 100",
        "min_age = 60, max_age = 50",
        "max_distance_km = 0",
        "max_distance_km = 201",
        "seeking_gender = 'male'",
        "seeking_gender = NULL",
        "sexual_orientation = ''",
    ],
)
def test_the_database_itself_refuses(phone: Phone, world: World, values: str) -> None:
    phone.create_preferences()
    with pytest.raises(psycopg2.IntegrityError):
        world.rows(f"UPDATE after_hours_preferences SET {values}")


NOT_INTEGERS: tuple[Any, ...] = ("25", 25.5, True, [25], {}, 10**400)
BAD: dict[str, tuple[Any, ...]] = {
    "seekingGender": ("male", "Non-Binary", "", "any", 1, True, [], ["Male"], {}, "\0", "\ud800", "Male\0"),
    "maxDistanceKm": (*NOT_INTEGERS, 0, 201, -1),
    "minAge": (*NOT_INTEGERS, 17, 100),
    "maxAge": (*NOT_INTEGERS, 17, 100),
    "sexualOrientation": ("straight", "", "Any", 1, False, [], {}, "\0", "\udfff"),
    "interests": (["chess"],),
    "userId": ("local-other",),
}


@pytest.mark.parametrize("send", [Phone.create_preferences, Phone.update_preferences])
@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
def test_bad_values_are_refused_by_name_and_not_stored(
    phone: Phone, world: World, send: Callable[..., Preferences], field: str, value: Any
) -> None:
    if send is Phone.update_preferences:
        phone.create_preferences()
    before = world.rows("SELECT * FROM after_hours_preferences")
    with refused("400 VALIDATION_ERROR") as refusal:
        send(phone, **{field: value})
    assert refusal.value.fields == [field]
    assert world.rows("SELECT * FROM after_hours_preferences") == before


@pytest.mark.parametrize("field", ["maxDistanceKm", "minAge", "maxAge"])
def test_the_bounds_themselves_are_allowed(phone: Phone, field: str) -> None:
    low, high = (1, 200) if field == "maxDistanceKm" else (18, 99)
    created = phone.create_preferences(**{field: low, **({"minAge": low} if field == "maxAge" else {})})
    assert written(created)[field] == low
    phone.update_preferences(**{field: high, **({"maxAge": high} if field == "minAge" else {})})


def test_an_empty_update_is_refused(phone: Phone) -> None:
    phone.create_preferences()
    with refused("400 VALIDATION_ERROR"):
        phone.update_preferences()
