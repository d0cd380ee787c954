"""A database that served members of the earlier backend is taken over: no row is lost, and odd tables are mended.

What repairs rows that break a rule has been released, and a hash in tests/unit/test_migrations.py keeps it as it is.
"""

from typing import Any

import pytest

from tests.support.databases import EARLIER_ROWS, EARLIER_TABLES, migrate, run, structure
from tests.support.phone import Phone
from tools.local import postgres

pytestmark = pytest.mark.slow  # each test migrates a database of its own


# Rules that contradict ours, some by the names of ours, columns that we do not fill, a narrow text, and times without a
# zone.
ODD_TABLES = """
    ALTER TABLE after_hours_preferences
        ADD CHECK (seeking_gender IN ('Any', 'Male', 'Female', 'Non-Binary')), ADD CHECK (max_age <= 21);
    ALTER TABLE after_hours_profiles ADD CONSTRAINT short CHECK (char_length(description) < 9);
    ALTER TABLE after_hours_sessions ADD CONSTRAINT "Both: 100%" CHECK (latitude IS NOT NULL) NOT VALID;
    ALTER TABLE after_hours_profiles ADD mood TEXT NOT NULL, ALTER description SET NOT NULL,
        ALTER description TYPE VARCHAR(20), ALTER created_at TYPE TIMESTAMP;
    ALTER TABLE after_hours_preferences ALTER interests SET NOT NULL, ADD updated_by INTEGER NOT NULL,
        ALTER sexual_orientation SET DEFAULT 'Straight', ALTER sexual_orientation SET NOT NULL;
    ALTER TABLE after_hours_sessions ADD seen_at TIMESTAMPTZ NOT NULL,
        ADD number INTEGER NOT NULL GENERATED ALWAYS AS IDENTITY,
        ADD kind TEXT NOT NULL DEFAULT 'live',
        ALTER latitude SET NOT NULL, ALTER fuzzed_longitude SET NOT NULL,
        ALTER started_at TYPE TIMESTAMP, ALTER expires_at TYPE TIMESTAMP, ALTER ended_at TYPE TIMESTAMP;
    ALTER TABLE device_fingerprints ALTER device_id SET NOT NULL, ALTER device_model SET NOT NULL,
        ALTER platform SET NOT NULL, ALTER platform SET DEFAULT 'ios', ALTER session_id SET NOT NULL,
        ALTER user_id SET NOT NULL, ALTER created_at SET NOT NULL, ADD updated_at TIMESTAMPTZ NOT NULL,
        ADD kind TEXT NOT NULL DEFAULT 'phone', ADD CONSTRAINT theirs UNIQUE (user_id, device_id),
        ADD CONSTRAINT platforms CHECK (platform IN ('ios', 'android'));
    ALTER TABLE after_hours_preferences
        ADD CONSTRAINT after_hours_preferences_ages CHECK (min_age > 18),
        ADD CONSTRAINT after_hours_preferences_seeking_gender CHECK (seeking_gender <> 'Non-binary');
    ALTER TABLE after_hours_profiles ADD CONSTRAINT after_hours_profiles_description UNIQUE (description);
"""

MISSING = """
    ALTER TABLE after_hours_profiles DROP description, DROP updated_at;
    ALTER TABLE after_hours_preferences DROP created_at, DROP updated_at, DROP interests, DROP sexual_orientation;
    ALTER TABLE after_hours_sessions DROP fuzzed_latitude, DROP fuzzed_longitude, DROP created_at, DROP started_at;
    ALTER TABLE device_fingerprints DROP platform, DROP session_id, DROP device_model, DROP created_at;
"""

TABLES = ("after_hours_profiles", "after_hours_preferences", "after_hours_sessions", "device_fingerprints")
NOT_VALIDATED = "SELECT FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
ENDED = """
    UPDATE after_hours_sessions SET
        ended_at = now(), latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL
"""


@pytest.mark.parametrize("tables", [EARLIER_ROWS, EARLIER_ROWS + MISSING, ODD_TABLES])
def test_tables_are_made_to_fit_lose_no_value_and_serve_every_endpoint(
    phone: Phone, served: postgres.Database, new_structure: list[tuple[Any, ...]], tables: str
) -> None:
    run(served, EARLIER_TABLES + tables)
    before = {table: run(served, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES}
    migrate(served)
    for table, rows in before.items():
        for old, new in zip(rows, run(served, f"SELECT * FROM {table} ORDER BY 1"), strict=True):
            assert {name: value for name, value in old.items() if value is not None}.items() <= new.items()
    found = structure(served)
    assert set(new_structure) <= set(found)
    assert {row for row in found if row[2].startswith("CHECK")} <= set(new_structure)
    assert run(served, NOT_VALIDATED) == []
    run(served, ENDED)
    if tables == ODD_TABLES:
        phone.create_profile()
        phone.create_preferences()
    phone.profile()
    phone.update_profile(description="d" * 500)
    phone.preferences()
    phone.update_preferences(maxAge=30, seekingGender="Non-binary")
    phone.start()
    phone.extend()
    assert phone.session()
    phone.end()
    phone.leave()
    phone.create_profile()
    phone.create_preferences()
