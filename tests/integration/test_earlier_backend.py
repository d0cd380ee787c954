"""A database that served members of the earlier backend is taken over: no row is lost, and odd tables are mended."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migrations.upgrade import upgrade
from tests.support.earlier_backend import EARLIER_ROWS, EARLIER_TABLES, logged_repairs, migrate, run, structure
from tests.support.phone import Phone
from tools.local import postgres

pytestmark = pytest.mark.slow  # each test migrates a database of its own

TABLES = ("after_hours_profiles", "after_hours_preferences", "after_hours_sessions", "device_fingerprints")


# Each row breaks a rule; two of the sessions have no times.
BROKEN_ROWS = """
ALTER TABLE after_hours_sessions ALTER started_at DROP NOT NULL, ALTER expires_at DROP NOT NULL;
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
    ('local-no-premium', NULL, '2026-01-01Z', NULL, 1, 1, 1, 1);
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


def test_rows_that_break_a_rule_are_repaired_and_counted_and_every_endpoint_is_served(
    phone: Phone, served: postgres.Database, output: Callable[[], str]
) -> None:
    run(served, EARLIER_TABLES + BROKEN_ROWS)
    migrate(served)
    descriptions = run(served, "SELECT description FROM after_hours_profiles ORDER BY user_id")
    assert [row["description"] for row in descriptions] == ['{"' + "a" * 498, "a" * 499, None, None]
    stored = "user_id, seeking_gender, max_distance_km, min_age, max_age, sexual_orientation"
    assert [tuple(row.values()) for row in run(served, f"SELECT {stored} FROM after_hours_preferences ORDER BY 1")] == [
        ("local-entitled", "Female", 25, 25, 40, "Straight"),
        ("local-other", "Male", 200, 18, 99, "Straight"),
        ("local-unverified", "Any", 10, 18, 99, None),
    ]
    assert run(served, "SELECT latitude FROM after_hours_sessions WHERE user_id = 'local-other'") == [
        {"latitude": None}
    ]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    times = "SELECT DISTINCT started_at, expires_at FROM after_hours_sessions WHERE user_id <> 'local-other'"
    assert run(served, times) == [{"started_at": moment, "expires_at": moment}]
    assert logged_repairs(output) == {
        "description untrimmed, empty or too long": 3,
        "sessions without their times": 2,
        "age out of range": 2,
        "ages crossed": 1,
        "distance out of range": 2,
        "seeking gender unknown": 2,
        "sexual orientation unknown": 2,
        "location off the earth": 1,
    }
    use_every_endpoint(phone)


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


def make(database: postgres.Database, passed: str | None, differences: str = "SELECT") -> None:
    """Make the earlier tables with these differences; when `passed`, they have been through that revision."""
    run(database, EARLIER_TABLES)
    if passed:
        upgrade(database.connect, passed)
    run(database, differences)


# Rules that contradict ours, columns that we do not fill, a narrow text, and times without a zone. Of the table of
# devices, which may be shared, the rules stay.
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
"""
# Later our own rules are in force.
NAMES_OF_OURS = """
    ALTER TABLE after_hours_preferences
        ADD CONSTRAINT after_hours_preferences_ages CHECK (min_age > 18),
        ADD CONSTRAINT after_hours_preferences_seeking_gender CHECK (seeking_gender <> 'Non-binary');
    ALTER TABLE after_hours_profiles ADD CONSTRAINT after_hours_profiles_description UNIQUE (description);
"""


@pytest.mark.parametrize("passed", [None, "0005"])
def test_odd_tables_are_made_to_fit_and_serve_every_endpoint(
    phone: Phone, served: postgres.Database, new_structure: list[tuple[Any, ...]], passed: str | None
) -> None:
    make(served, passed, ODD_TABLES + ("" if passed else NAMES_OF_OURS))
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


@pytest.mark.parametrize("passed", [None, "0005"])
def test_a_shared_table_of_devices_without_a_session_serves_every_endpoint(
    phone: Phone, served: postgres.Database, passed: str | None
) -> None:
    make(served, passed, "ALTER TABLE device_fingerprints DROP session_id, DROP device_model, DROP created_at")
    migrate(served)
    phone.create_profile()
    phone.create_preferences()
    use_every_endpoint(phone)


MISSING = """
    ALTER TABLE after_hours_profiles DROP description, DROP updated_at;
    ALTER TABLE after_hours_preferences DROP created_at, DROP updated_at, DROP interests, DROP sexual_orientation;
    ALTER TABLE after_hours_sessions DROP fuzzed_latitude, DROP fuzzed_longitude, DROP created_at, DROP started_at;
    ALTER TABLE device_fingerprints DROP platform, DROP session_id;
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


# The index that allows one open session is missing, or there is something weaker by its name.
NO_INDEX = "DROP INDEX idx_after_hours_sessions_active_user;"
NOT_UNIQUE = "CREATE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (user_id)"
OF_MORE = "ALTER TABLE after_hours_sessions ADD CONSTRAINT idx_after_hours_sessions_active_user UNIQUE (user_id, id)"
OPEN_SESSIONS = """
    INSERT INTO after_hours_sessions
        (user_id, started_at, expires_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude) VALUES
        ('local-entitled', '2026-01-01Z', '2026-01-02Z', 1, 1, 1, 1),
        ('local-entitled', now() - interval '2 minutes', now() + interval '1 hour', 2, 2, 2, 2),
        ('local-entitled', now() - interval '1 minute', now() + interval '1 minute', 3, 3, 3, 3),
        ('local-other', now(), now() + interval '1 hour', 4, 4, 4, 4);
"""


@pytest.mark.parametrize(("passed", "index"), [(None, OF_MORE), ("0005", NOT_UNIQUE)])
def test_of_several_open_sessions_the_newest_stays_open(
    host: postgres.Database,
    new_structure: list[tuple[Any, ...]],
    output: Callable[[], str],
    passed: str | None,
    index: str,
) -> None:
    make(host, passed, NO_INDEX + OPEN_SESSIONS + index)
    upgrade(host.connect)
    assert structure(host) == new_structure
    assert logged_repairs(output) == {"several open sessions of a member": 2}
    open_ones = "SELECT latitude FROM after_hours_sessions WHERE ended_at IS NULL ORDER BY 1"
    assert run(host, open_ones) == [{"latitude": 3}, {"latitude": 4}]
    closed, closed_live = run(host, "SELECT * FROM after_hours_sessions WHERE ended_at IS NOT NULL ORDER BY started_at")
    assert closed["ended_at"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert timedelta() <= datetime.now(UTC) - closed_live["ended_at"] < timedelta(minutes=1)
    for session in (closed, closed_live):
        assert {value for name, value in session.items() if "itude" in name} == {None}


def test_times_without_a_zone_are_read_as_utc(host: postgres.Database, new_structure: list[tuple[Any, ...]]) -> None:
    times = ("started_at", "expires_at", "ended_at", "created_at")
    make(
        host,
        "0005",
        f"""
        ALTER DATABASE host SET timezone = 'America/New_York';
        ALTER TABLE after_hours_profiles ALTER created_at TYPE TIMESTAMP, ALTER updated_at TYPE TIMESTAMP;
        ALTER TABLE after_hours_preferences ALTER created_at TYPE TIMESTAMP, ALTER updated_at TYPE TIMESTAMP;
        ALTER TABLE after_hours_sessions {", ".join(f"ALTER {time} TYPE TIMESTAMP" for time in times)};
        INSERT INTO after_hours_sessions
            (user_id, started_at, expires_at, ended_at, created_at,
             latitude, longitude, fuzzed_latitude, fuzzed_longitude)
        SELECT 'local-other', noon, noon, noon, noon, 1, 1, 1, 1 FROM CAST('2026-07-01 12:00' AS TIMESTAMP) AS noon
        """,
    )
    upgrade(host.connect)
    assert structure(host) == new_structure
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert run(host, f"SELECT {', '.join(times)} FROM after_hours_sessions") == [dict.fromkeys(times, noon)]
