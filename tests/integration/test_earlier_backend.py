"""A database that served members of the earlier backend is taken over: no row is lost, and odd tables are mended."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migrations.upgrade import upgrade
from tests.support.databases import EARLIER_ROWS, EARLIER_TABLES, migrate, run, structure
from tests.support.phone import Phone
from tools.local import postgres

pytestmark = pytest.mark.slow  # each test migrates a database of its own

TABLES = ("after_hours_profiles", "after_hours_preferences", "after_hours_sessions", "device_fingerprints")


# Each row breaks a rule. Two of the sessions have no times, and a member has three open ones: the index that allows one
# is missing, and something weaker has its name.
BROKEN_ROWS = """
DROP INDEX idx_after_hours_sessions_active_user;
ALTER TABLE after_hours_sessions ALTER started_at DROP NOT NULL, ALTER expires_at DROP NOT NULL,
    ADD CONSTRAINT idx_after_hours_sessions_active_user UNIQUE (user_id, id);
INSERT INTO after_hours_profiles (user_id, photo_url, description) VALUES
    ('local-entitled', '', '{"' || repeat('a', 600) || '","b"}'),
    ('local-no-premium', '', E'\\t\\n' || repeat('a', 499) || E'\\n' || repeat('b', 99)),
    ('local-other', '', ''),
    ('local-unverified', '', NULL);
INSERT INTO after_hours_preferences (user_id, seeking_gender, max_distance_km, min_age, max_age, sexual_orientation)
VALUES
    ('local-entitled', 'Female', 25, 40, 25, 'Straight'),
    ('local-other', 'male', 500, 12, 120, 'straight'),
    ('local-unverified', 'whoever', NULL, NULL, NULL, 'unsure');
INSERT INTO after_hours_sessions
    (user_id, started_at, expires_at, ended_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude) VALUES
    ('local-other', now(), now(), now(), 91, 13.4, 52.5, 13.4),
    ('local-unverified', '2026-01-01Z', NULL, NULL, 1, 1, 1, 1),
    ('local-no-premium', NULL, '2026-01-01Z', NULL, 1, 1, 1, 1),
    ('local-entitled', '2026-01-01Z', '2026-01-02Z', NULL, 1, 1, 1, 1),
    ('local-entitled', now() - interval '2 minutes', now() + interval '1 hour', NULL, 2, 2, 2, 2),
    ('local-entitled', now() - interval '1 minute', now() + interval '1 minute', NULL, 3, 3, 3, 3);
"""


def use_every_endpoint(phone: Phone) -> None:
    phone.profile()
    phone.update_profile(description="d" * 500)
    phone.preferences()
    phone.update_preferences(maxAge=30, seekingGender="Non-binary")
    for _ in range(2):
        phone.start()
        phone.extend()
        assert phone.session()
        phone.end()
    phone.leave()
    phone.create_profile()
    phone.create_preferences()


def test_rows_that_break_a_rule_are_repaired_and_counted(
    host: postgres.Database, new_structure: list[tuple[Any, ...]], output: Callable[[], str]
) -> None:
    run(host, EARLIER_TABLES + BROKEN_ROWS)
    upgrade(host.connect)
    assert structure(host) == new_structure
    descriptions = run(host, "SELECT description FROM after_hours_profiles ORDER BY user_id")
    assert [row["description"] for row in descriptions] == ['{"' + "a" * 498, "a" * 499, None, None]
    stored = "user_id, seeking_gender, max_distance_km, min_age, max_age, sexual_orientation"
    assert [tuple(row.values()) for row in run(host, f"SELECT {stored} FROM after_hours_preferences ORDER BY 1")] == [
        ("local-entitled", "Female", 25, 25, 40, "Straight"),
        ("local-other", "Male", 200, 18, 99, "Straight"),
        ("local-unverified", "Any", 10, 18, 99, None),
    ]
    assert run(host, "SELECT latitude FROM after_hours_sessions WHERE user_id = 'local-other'") == [{"latitude": None}]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    times = "SELECT DISTINCT started_at, expires_at FROM after_hours_sessions WHERE user_id IN"
    assert run(host, f"{times} ('local-unverified', 'local-no-premium')") == [
        {"started_at": moment, "expires_at": moment}
    ]
    open_sessions = "SELECT * FROM after_hours_sessions WHERE user_id = 'local-entitled' ORDER BY started_at"
    closed, closed_live, newest = run(host, open_sessions)
    assert (newest["ended_at"], newest["latitude"]) == (None, 3)
    assert closed["ended_at"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert timedelta() <= datetime.now(UTC) - closed_live["ended_at"] < timedelta(minutes=1)
    for session in (closed, closed_live):
        assert {value for name, value in session.items() if "itude" in name} == {None}
    logged = [json.loads(line) for line in output().splitlines() if line.startswith("{")]
    assert {line["wrong"]: line["rows"] for line in logged if "wrong" in line} == {
        "description untrimmed, empty or too long": 3,
        "sessions without their times": 2,
        "age out of range": 2,
        "ages crossed": 1,
        "distance out of range": 2,
        "seeking gender unknown": 2,
        "sexual orientation unknown": 2,
        "location off the earth": 1,
        "several open sessions of a member": 2,
    }


def test_earlier_rows_survive_unchanged_in_tables_like_new_ones(
    host: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    run(host, EARLIER_TABLES + EARLIER_ROWS)
    before = {table: run(host, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES}
    upgrade(host.connect)
    for table, rows in before.items():
        for old, new in zip(rows, run(host, f"SELECT * FROM {table} ORDER BY 1"), strict=True):
            assert {name: new[name] for name, value in old.items() if value is not None} == {
                name: value for name, value in old.items() if value is not None
            }
    assert run(host, "SELECT 1 FROM after_hours_profiles WHERE created_at IS NULL OR updated_at IS NULL") == []
    assert structure(host) == new_structure


# Rules that contradict ours, some by the names of ours, columns that we do not fill, a narrow text, and times without a
# zone. Of the table of devices, which may be shared, the rules stay.
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


def test_odd_tables_are_made_to_fit_and_serve_every_endpoint(
    phone: Phone, served: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    run(served, EARLIER_TABLES + ODD_TABLES)
    migrate(served)
    found = structure(served)
    assert set(new_structure) <= set(found)
    assert {row for row in found if row[2].startswith("CHECK")} <= set(new_structure)
    assert run(
        served,
        "SELECT conname, attnotnull FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attname = 'kind'"
        " WHERE conrelid = 'device_fingerprints'::regclass AND contype IN ('u', 'c') ORDER BY 1",
    ) == [{"conname": "platforms", "attnotnull": True}, {"conname": "theirs", "attnotnull": True}]
    phone.create_profile()
    phone.create_preferences()
    use_every_endpoint(phone)


MISSING = """
    ALTER TABLE after_hours_profiles DROP description, DROP updated_at;
    ALTER TABLE after_hours_preferences DROP created_at, DROP updated_at, DROP interests, DROP sexual_orientation;
    ALTER TABLE after_hours_sessions DROP fuzzed_latitude, DROP fuzzed_longitude, DROP created_at, DROP started_at;
    ALTER TABLE device_fingerprints DROP platform, DROP session_id, DROP device_model, DROP created_at;
"""


def test_missing_columns_are_added(
    phone: Phone, served: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    run(served, EARLIER_TABLES + EARLIER_ROWS + MISSING)
    migrate(served)
    assert structure(served) == new_structure
    run(
        served,
        "UPDATE after_hours_sessions SET ended_at = now(),"
        " latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL",
    )
    use_every_endpoint(phone)
