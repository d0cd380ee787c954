"""A member's preferences in After Hours, which are separate from the main profile's.

Defaults are taken from the main profile once, on creation. The statement that stores an age also compares it with the
stored other one. So two phones that each send one bound can never store a lowest age above the highest.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from after_hours.entrypoints import access
from after_hours.entrypoints.access import Read
from after_hours.entrypoints.errors import InvalidRequest, PreferencesExist, PreferencesNotFound
from after_hours.entrypoints.schema import Patch, RequestModel, ResponseModel, Whole
from after_hours.foundation.database import Database, Row

SeekingGender = Literal["Any", "Male", "Female", "Non-binary"]
Orientation = Literal["Straight", "Gay", "Bisexual", "Pansexual", "Queer", "Other"]
DistanceKm = Annotated[int, Field(ge=1, le=200), Whole]
Age = Annotated[int, Field(ge=18, le=99), Whole]

_CROSSED = "The lowest age must not be above the highest"


class CreatePreferences(RequestModel):
    """No field is required. An absent one is taken from the main profile, or has the default stated here."""

    null_is_a_choice: ClassVar = frozenset({"sexual_orientation"})

    seeking_gender: SeekingGender = Field(
        default="Any",
        description="Whom the member seeks. When absent on creation: whom the main profile's gender and preference "
        "seek, else Any.",
    )
    max_distance_km: DistanceKm = Field(default=10, description="Kilometres. When absent on creation: 10.")
    min_age: Age = Field(default=18, description="Years; not above `maxAge`. When absent on creation: 18.")
    max_age: Age = Field(default=99, description="Years; not below `minAge`. When absent on creation: 99.")
    sexual_orientation: Orientation | None = Field(
        default=None,
        description="The member's own; null for none. When absent on creation: the main profile's.",
    )

    @field_validator("max_age")
    @classmethod
    def _not_below_min_age(cls, max_age: int, info: ValidationInfo) -> int:
        if max_age < info.data.get("min_age", max_age):
            raise ValueError(_CROSSED)
        return max_age


class UpdatePreferences(CreatePreferences, Patch):
    """An absent field keeps its value; only `sexualOrientation` can be cleared."""


class Preferences(ResponseModel):
    """Whom the member seeks, and the member's own orientation."""

    seeking_gender: SeekingGender = Field(description="Whom the member seeks.")
    max_distance_km: int = Field(description="Kilometres.")
    min_age: int = Field(description="Years.")
    max_age: int = Field(description="Years.")
    sexual_orientation: Orientation | None = Field(description="The member's own; null for none.")


_READ = """
    SELECT
        member.premium, member.verified, member.consenting,
        p.user_id, p.seeking_gender, p.max_distance_km, p.min_age, p.max_age, p.sexual_orientation
    FROM after_hours_entitlements(%(user_id)s) AS member
        LEFT JOIN after_hours_preferences p ON p.user_id = %(user_id)s
"""

# `seeking_gender` is the one that was sent. Without one it follows from the main profile's gender and preference, for
# the four pairs below, and is Any for all others.
_CREATE = """
    SELECT after_hours_lock_member(%(user_id)s);
    WITH created AS (
        INSERT INTO after_hours_preferences
            (user_id, seeking_gender, max_distance_km, min_age, max_age, sexual_orientation)
        SELECT
            users.id, coalesce(%(seeking_gender)s, seeking.gender, 'Any'),
            %(max_distance_km)s, %(min_age)s, %(max_age)s,
            CASE WHEN %(orientation_sent)s THEN %(sexual_orientation)s ELSE orientation.name END
        FROM users
            LEFT JOIN profiles main ON main.user_id = users.id
            LEFT JOIN (VALUES
                ('Male', 'Straight', 'Female'),
                ('Female', 'Straight', 'Male'),
                ('Male', 'Gay', 'Male'),
                ('Female', 'Gay', 'Female')
            ) AS seeking (of_gender, preference, gender)
                ON (seeking.of_gender, seeking.preference) = (main.gender, main.sexual_preference)
            LEFT JOIN (VALUES ('Straight'), ('Gay'), ('Bisexual'), ('Pansexual'), ('Queer'), ('Other'))
                AS orientation (name) ON orientation.name = main.sexual_preference
        WHERE users.id = %(user_id)s
        ON CONFLICT (user_id) DO NOTHING
        RETURNING user_id, seeking_gender, max_distance_km, min_age, max_age, sexual_orientation
    )
    SELECT created.* FROM users LEFT JOIN created ON true WHERE users.id = %(user_id)s
"""

# `changes` has the fields that were sent. When another transaction changed the row while this statement waited for its
# lock, PostgreSQL evaluates the condition again, on the row as it is then (READ COMMITTED).
_UPDATE = """
    UPDATE after_hours_preferences stored SET
        (seeking_gender, max_distance_km, min_age, max_age, sexual_orientation) = (
            SELECT seeking_gender, max_distance_km, min_age, max_age, sexual_orientation
            FROM jsonb_populate_record(stored, %(changes)s) AS changed
        ),
        updated_at = now()
    WHERE user_id = %(user_id)s
        AND (SELECT min_age <= max_age FROM jsonb_populate_record(stored, %(changes)s) AS changed)
    RETURNING seeking_gender, max_distance_km, min_age, max_age, sexual_orientation
"""


def create(database: Database, user_id: str, new: CreatePreferences) -> Preferences:
    """Create the member's preferences. Raises `PreferencesExist`, and what `access.change` raises."""
    chosen = new.model_dump() | {
        "seeking_gender": new.seeking_gender if "seeking_gender" in new.model_fields_set else None,
        "orientation_sent": "sexual_orientation" in new.model_fields_set,
    }
    row = access.change(database, _CREATE, {"user_id": user_id, **chosen})
    if row["user_id"] is None:
        raise PreferencesExist
    return Preferences.model_validate(row)


def update(database: Database, user_id: str, changes: UpdatePreferences) -> Preferences:
    """Change the fields that were sent.

    Raises `PreferencesNotFound`, or `InvalidRequest` when the one age that was sent crosses the stored other one.
    """
    row = database.find_one(_UPDATE, {"user_id": user_id, "changes": changes.model_dump_json(exclude_unset=True)})
    if row is None:
        _found(database.find_one(_READ, {"user_id": user_id}))  # raises when there are no preferences
        field = "minAge" if "min_age" in changes.model_fields_set else "maxAge"
        raise InvalidRequest([{"field": field, "message": _CROSSED}])
    return Preferences.model_validate(row)


def _found(row: Row | None) -> Preferences:
    if row is None or row["user_id"] is None:
        raise PreferencesNotFound
    return Preferences.model_validate(row)


read = Read(_READ, lambda rows: _found(rows[0]))  # raises `PreferencesNotFound`
