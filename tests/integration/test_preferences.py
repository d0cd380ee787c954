"""Preferences: smart defaults once, changes that change what was sent, ages that never cross."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import psycopg2
import pytest
from after_hours import preferences
from after_hours.errors import InvalidRequest, PreferencesExist

from local import postgres
from tests.support.handlers import Answer
from tests.support.world import own_database

type Call = Callable[..., Answer]
type Rows = Callable[..., list[tuple[Any, ...]]]

DEFAULTS = {
    "seekingGender": "Female",  # the entitled member is a straight man
    "maxDistanceKm": 10,
    "minAge": 18,
    "maxAge": 99,
    "sexualOrientation": "Straight",
}


def create(call: Call, **body: Any) -> Any:
    answer = call("create_preferences", body=body)
    assert answer.status == 201, answer
    return answer.body["preferences"]


def test_what_is_not_sent_is_filled_in(call: Call) -> None:
    assert create(call) == DEFAULTS
    assert call("get_preferences").body == {"success": True, "preferences": DEFAULTS}


def test_what_is_sent_is_kept(call: Call) -> None:
    sent = {
        "seekingGender": "Non-binary",
        "maxDistanceKm": 200,
        "minAge": 30,
        "maxAge": 30,
        "sexualOrientation": "Queer",
    }
    assert create(call, **sent) == sent


def test_an_orientation_sent_as_null_is_none_and_not_the_default(call: Call) -> None:
    assert create(call, sexualOrientation=None) == DEFAULTS | {"sexualOrientation": None}


GENDERS = ("Male", "Female", "Non-Binary", "", "male", None)
SEXUAL_PREFERENCES = ("Straight", "Gay", "Bisexual", "Pansexual", "", "Queer?", None)
EXPECTED = {
    ("Male", "Straight"): "Female",
    ("Female", "Straight"): "Male",
    ("Male", "Gay"): "Male",
    ("Female", "Gay"): "Female",
}


@pytest.mark.parametrize(("gender", "preference"), list(product(GENDERS, SEXUAL_PREFERENCES)))
def test_whom_the_main_profile_seeks(call: Call, rows: Rows, gender: str | None, preference: str | None) -> None:
    rows("UPDATE profiles SET gender = %s, sexual_preference = %s", gender, preference)
    created = create(call)
    assert created["seekingGender"] == EXPECTED.get((str(gender), str(preference)), "Any")
    known = preference in {"Straight", "Gay", "Bisexual", "Pansexual"}
    assert created["sexualOrientation"] == (preference if known else None)


def test_without_a_main_profile_anybody_is_sought(call: Call, rows: Rows) -> None:
    rows("DELETE FROM profiles")
    assert create(call) == DEFAULTS | {"seekingGender": "Any", "sexualOrientation": None}


def test_an_update_never_fills_in_defaults(call: Call, rows: Rows) -> None:
    create(call, seekingGender="Any", sexualOrientation=None)
    rows("UPDATE profiles SET gender = 'Female', sexual_preference = 'Gay'")
    answer = call("update_preferences", body={"maxDistanceKm": 5})
    changed = DEFAULTS | {"seekingGender": "Any", "sexualOrientation": None, "maxDistanceKm": 5}
    assert answer.body == {"success": True, "preferences": changed}


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
def test_an_update_changes_what_was_sent_and_nothing_else(call: Call, field: str, value: Any) -> None:
    create(call)
    assert call("update_preferences", body={field: value}).status == 200
    assert call("get_preferences").body["preferences"] == DEFAULTS | {field: value}


@pytest.mark.parametrize("function", ["get_preferences", "update_preferences"])
def test_without_preferences_there_are_none_to_read_or_change(call: Call, function: str) -> None:
    answer = call(function, body={"minAge": 20})
    assert (answer.status, answer.body["code"]) == (404, "PREFERENCES_NOT_FOUND")


def test_a_second_creation_is_refused_and_the_first_stays(call: Call) -> None:
    create(call, minAge=30)
    answer = call("create_preferences", body={"minAge": 40})
    assert (answer.status, answer.body["code"]) == (409, "PREFERENCES_EXIST")
    assert call("get_preferences").body["preferences"]["minAge"] == 30


def test_of_two_phones_that_create_at_once_one_succeeds(people: Any, migrated: postgres.Database) -> None:
    def attempt(age: int) -> bool:
        database = own_database(migrated)
        try:
            preferences.create(
                database, "local-entitled", preferences.CreatePreferences.model_validate({"minAge": age})
            )
        except PreferencesExist:
            return False
        finally:
            database.close()
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(attempt, range(20, 30))) == 1


@pytest.mark.parametrize(
    ("stored", "sent", "field"),
    [({"maxAge": 30}, {"minAge": 31}, "minAge"), ({"minAge": 30}, {"maxAge": 29}, "maxAge")],
)
def test_one_age_may_not_pass_the_other_that_is_stored(call: Call, stored: Any, sent: Any, field: str) -> None:
    before = create(call, **stored)
    answer = call("update_preferences", body=sent | {"maxDistanceKm": 1})
    assert (answer.status, answer.body["code"]) == (400, "VALIDATION_ERROR")
    assert [error["field"] for error in answer.body["errors"]] == [field]
    assert call("get_preferences").body["preferences"] == before


def test_both_ages_may_move_past_what_is_stored(call: Call) -> None:
    create(call, minAge=20, maxAge=30)
    assert call("update_preferences", body={"minAge": 40, "maxAge": 50}).status == 200


@pytest.mark.parametrize("function", ["create_preferences", "update_preferences"])
def test_crossed_ages_are_refused(call: Call, function: str) -> None:
    answer = call(function, body={"minAge": 41, "maxAge": 40})
    assert [error["field"] for error in answer.body["errors"]] == ["maxAge"]


def test_two_phones_that_each_send_one_age_never_cross_them(
    people: Any, migrated: postgres.Database, rows: Rows
) -> None:
    def send(change: dict[str, int]) -> None:
        database = own_database(migrated)
        try:
            preferences.update(database, "local-entitled", preferences.UpdatePreferences.model_validate(change))
        except InvalidRequest:
            pass
        finally:
            database.close()

    for _ in range(10):
        rows("DELETE FROM after_hours_preferences")
        rows("INSERT INTO after_hours_preferences (user_id, min_age, max_age) VALUES ('local-entitled', 30, 40)")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, [{"minAge": 38}, {"maxAge": 32}] * 4))
        ((low, high),) = rows("SELECT min_age, max_age FROM after_hours_preferences")
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
def test_the_database_itself_refuses(call: Call, rows: Rows, values: str) -> None:
    create(call)
    with pytest.raises(psycopg2.IntegrityError):
        rows(f"UPDATE after_hours_preferences SET {values}")


NOT_INTEGERS: tuple[Any, ...] = ("25", 25.0, 25.5, True, [25], {}, None, 10**400)
BAD: dict[str, tuple[Any, ...]] = {
    "seekingGender": ("male", "Non-Binary", "", "any", None, 1, True, [], ["Male"], {}, "\0", "\ud800", "Male\0"),
    "maxDistanceKm": (*NOT_INTEGERS, 0, 201, -1),
    "minAge": (*NOT_INTEGERS, 17, 100),
    "maxAge": (*NOT_INTEGERS, 17, 100),
    "sexualOrientation": ("straight", "", "Any", 1, False, [], {}, "\0", "\udfff"),
    "interests": (["chess"],),
    "userId": ("local-other",),
}


@pytest.mark.parametrize("function", ["create_preferences", "update_preferences"])
@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
def test_bad_values_are_refused_by_name_and_not_stored(
    call: Call, rows: Rows, function: str, field: str, value: Any
) -> None:
    if function == "update_preferences":
        create(call)
    before = rows("SELECT * FROM after_hours_preferences")
    answer = call(function, body={field: value})
    assert (answer.status, answer.body["code"]) == (400, "VALIDATION_ERROR")
    assert [error["field"] for error in answer.body["errors"]] == [field]
    assert rows("SELECT * FROM after_hours_preferences") == before


@pytest.mark.parametrize("field", ["maxDistanceKm", "minAge", "maxAge"])
def test_the_bounds_themselves_are_allowed(call: Call, field: str) -> None:
    low, high = (1, 200) if field == "maxDistanceKm" else (18, 99)
    assert create(call, **{field: low, **({"minAge": low} if field == "maxAge" else {})})[field] == low
    assert (
        call("update_preferences", body={field: high, **({"maxAge": high} if field == "minAge" else {})}).status == 200
    )


def test_an_empty_update_is_refused(call: Call) -> None:
    create(call)
    assert call("update_preferences", body={}).body["code"] == "VALIDATION_ERROR"
