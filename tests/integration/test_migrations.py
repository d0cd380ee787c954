"""Migrations run on an empty database and on one that served members for a year, and lose nothing."""

import json
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from after_hours import config, profiles

from local import members, postgres
from migrations.upgrade import MigrationFailed, upgrade
from tests.support.handlers import Answer

type Call = Callable[..., Answer]

EARLIER_TABLES = """
CREATE TABLE after_hours_profiles (
    user_id VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    photo_url TEXT NOT NULL,
    description TEXT,
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now()
);
CREATE TABLE after_hours_preferences (
    user_id VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    seeking_gender VARCHAR(50),
    max_distance_km INTEGER,
    interests TEXT[],
    min_age INTEGER,
    max_age INTEGER,
    sexual_orientation VARCHAR(50),
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now()
);
CREATE TABLE after_hours_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    latitude DECIMAL(10, 8) NOT NULL,
    longitude DECIMAL(11, 8) NOT NULL,
    fuzzed_latitude DECIMAL(10, 8) NOT NULL,
    fuzzed_longitude DECIMAL(11, 8) NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now()
);
CREATE UNIQUE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (user_id) WHERE ended_at IS NULL;
CREATE TABLE device_fingerprints (
    id UUID PRIMARY KEY, user_id VARCHAR(255), session_id UUID,
    device_id VARCHAR(255), device_model VARCHAR(100), platform VARCHAR(20), created_at TIMESTAMPTZ
);
"""
EARLIER_ROWS = """
INSERT INTO after_hours_profiles (user_id, photo_url, description, created_at) VALUES
    ('local-entitled', 'after-hours-photos/local-entitled/1.jpg', 'hello', '2026-01-01Z'),
    ('local-other', '', NULL, NULL);
INSERT INTO after_hours_preferences (user_id, seeking_gender, max_distance_km, interests, min_age, max_age) VALUES
    ('local-entitled', 'Female', 25, '{chess,jazz}', 25, 35);
INSERT INTO after_hours_sessions
    (user_id, started_at, expires_at, ended_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude) VALUES
    ('local-entitled', '2026-01-01Z', '2026-01-02Z', '2026-01-02Z', 52.5, 13.4, 52.501, 13.402),
    ('local-entitled', now(), now() + interval '1 hour', NULL, 48.1, 11.5, 48.101, 11.502),
    ('local-other', '2026-01-01Z', '2026-01-02Z', NULL, 52.5, 13.4, 52.501, 13.402);
INSERT INTO device_fingerprints VALUES (gen_random_uuid(), 'local-entitled', NULL, 'd', 'm', 'p', now());
"""
TABLES = ("after_hours_profiles", "after_hours_preferences", "after_hours_sessions", "device_fingerprints")


def run(database: postgres.Database, statement: str) -> list[dict[str, Any]]:
    connection = database.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
        names = [column.name for column in cursor.description or []]
    connection.close()
    return [dict(zip(names, row, strict=True)) for row in rows]


def logged_repairs(output: Callable[[], str]) -> dict[str, int]:
    logged = [json.loads(line) for line in output().splitlines() if line.startswith("{")]
    return {line["wrong"]: line["rows"] for line in logged if "wrong" in line}


@pytest.fixture
def host(new_database: Callable[[str], postgres.Database]) -> postgres.Database:
    database = new_database("host")
    connection = database.connect()
    members.create_host_tables(connection)
    members.save(connection, *members.SEEDED.values())
    connection.close()
    return database


BROKEN_ROWS = """
INSERT INTO after_hours_profiles (user_id, photo_url, description) VALUES
    ('local-entitled', '', '{"' || repeat('a', 600) || '","b"}'),
    ('local-other', '', ''),
    ('local-unverified', '', NULL);
INSERT INTO after_hours_preferences (user_id, seeking_gender, max_distance_km, min_age, max_age, sexual_orientation)
VALUES
    ('local-entitled', 'Female', 25, 40, 25, 'Straight'),
    ('local-other', 'male', 500, 12, 120, 'straight'),
    ('local-unverified', 'whoever', NULL, NULL, NULL, 'unsure');
INSERT INTO after_hours_sessions
    (user_id, expires_at, ended_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude) VALUES
    ('local-other', now(), now(), 91, 13.4, 52.5, 13.4);
"""


def test_rows_that_break_a_rule_are_repaired_and_counted(host: postgres.Database, output: Callable[[], str]) -> None:
    run(host, EARLIER_TABLES + BROKEN_ROWS)
    upgrade(host.connect)
    descriptions = run(host, "SELECT user_id, description FROM after_hours_profiles ORDER BY 1")
    assert [row["description"] for row in descriptions] == ['{"' + "a" * 498, None, None]
    stored = "user_id, seeking_gender, max_distance_km, min_age, max_age, sexual_orientation"
    assert [tuple(row.values()) for row in run(host, f"SELECT {stored} FROM after_hours_preferences ORDER BY 1")] == [
        ("local-entitled", "Female", 25, 25, 40, "Straight"),
        ("local-other", "Male", 200, 18, 99, "Straight"),
        ("local-unverified", "Any", 10, 18, 99, None),
    ]
    assert run(host, "SELECT latitude FROM after_hours_sessions") == [{"latitude": None}]
    assert logged_repairs(output) == {
        "description untrimmed, empty or too long": 2,
        "age out of range": 2,
        "ages crossed": 1,
        "distance out of range": 2,
        "seeking gender unknown": 2,
        "sexual orientation unknown": 2,
        "location off the earth": 1,
    }


@pytest.fixture
def served(host: postgres.Database, call: Call, monkeypatch: pytest.MonkeyPatch) -> postgres.Database:
    """The host's database, as the one that the functions use."""
    monkeypatch.setattr(config.database_secret, "_value", config.DatabaseSecret.model_validate(host.secret))
    monkeypatch.setattr(config.database_secret, "_read_again_at", time.monotonic() + 600)
    return host


def use_every_endpoint(call: Call) -> None:
    assert call("get_profile").status == 200
    assert call("update_profile", body={"description": "d" * 500}).status == 200
    assert call("get_preferences").status == 200
    assert call("update_preferences", body={"maxAge": 30, "seekingGender": "Non-binary"}).status == 200
    start = {"duration": 15, "latitude": 52.5, "longitude": 13.4, "deviceFingerprint": {"deviceId": "d"}}
    assert call("start_session", body=start).status == 201
    assert call("extend_session", body={"additionalMinutes": 15}).status == 200
    assert call("get_session").body["active"] is True
    assert call("end_session").status == 200
    assert call("delete_profile").status == 204
    assert call("create_profile", body={}).status == 201
    assert call("create_preferences", body={}).status == 201


def test_a_migrated_database_serves_every_endpoint(served: postgres.Database, call: Call) -> None:
    run(served, EARLIER_TABLES + BROKEN_ROWS)
    upgrade(served.connect)
    assert call("get_profile").body["profile"]["description"].startswith('{"aaa')
    assert call("get_preferences").body["preferences"]["minAge"] == 25
    use_every_endpoint(call)


def structure(database: postgres.Database) -> list[tuple[Any, ...]]:
    """Columns with their types, the CHECK constraints, and the index that allows one open session."""
    rows = run(
        database,
        """
        SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'
            AND (table_name LIKE 'after_hours%' OR table_name = 'device_fingerprints')
        UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE contype = 'c' AND conrelid::regclass::text LIKE 'after_hours%'
        UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes
            WHERE indexname = 'idx_after_hours_sessions_active_user'
        ORDER BY 1, 2, 3
        """,
    )
    return [tuple(row.values()) for row in rows]


@pytest.fixture(scope="module")
def new_structure(new_database: Callable[[str], postgres.Database]) -> list[tuple[Any, ...]]:
    """What a new database has after the migrations."""
    fresh = new_database("fresh")
    connection = fresh.connect()
    members.create_host_tables(connection)
    connection.close()
    upgrade(fresh.connect)
    return structure(fresh)


def test_earlier_rows_survive_unchanged(host: postgres.Database) -> None:
    run(host, EARLIER_TABLES + EARLIER_ROWS)
    before = {table: run(host, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES}
    upgrade(host.connect)
    for table, rows in before.items():
        for old, new in zip(rows, run(host, f"SELECT * FROM {table} ORDER BY 1"), strict=True):
            assert {name: new[name] for name, value in old.items() if value is not None} == {
                name: value for name, value in old.items() if value is not None
            }


def test_profiles_of_the_earlier_backend_have_times(host: postgres.Database) -> None:
    run(host, EARLIER_TABLES + EARLIER_ROWS)
    upgrade(host.connect)
    assert run(host, "SELECT 1 FROM after_hours_profiles WHERE created_at IS NULL OR updated_at IS NULL") == []


def test_a_new_and_an_earlier_database_end_up_alike(
    host: postgres.Database, new_structure: list[tuple[Any, ...]]
) -> None:
    run(host, EARLIER_TABLES + EARLIER_ROWS)
    upgrade(host.connect)
    assert structure(host) == new_structure


# Earlier tables that are not quite as described. Each is met by the first revision, and by the one that does the same
# for a database which passed the first before it did.

PASSED_BEFORE = pytest.mark.parametrize("passed", [None, "0005"])


def make(database: postgres.Database, passed: str | None, differences: str = "SELECT") -> None:
    """Make the earlier tables with these differences; when `passed`, they have been through that revision."""
    run(database, EARLIER_TABLES)
    if passed:
        upgrade(database.connect, passed)
    run(database, differences)


ODD_TABLES = {
    "a rule that contradicts ours": """
        ALTER TABLE after_hours_preferences
            ADD CHECK (seeking_gender IN ('Any', 'Male', 'Female', 'Non-Binary')), ADD CHECK (max_age <= 21);
        ALTER TABLE after_hours_profiles ADD CONSTRAINT short CHECK (char_length(description) < 9);
        ALTER TABLE after_hours_sessions ADD CONSTRAINT "Both: 100%" CHECK (latitude IS NOT NULL) NOT VALID;
    """,
    "columns that we do not fill": """
        ALTER TABLE after_hours_profiles ADD mood TEXT NOT NULL, ALTER description SET NOT NULL;
        ALTER TABLE after_hours_preferences ALTER interests SET NOT NULL, ADD updated_by INTEGER NOT NULL,
            ALTER sexual_orientation SET DEFAULT 'Straight', ALTER sexual_orientation SET NOT NULL;
        ALTER TABLE after_hours_sessions ADD seen_at TIMESTAMPTZ NOT NULL,
            ADD number INTEGER NOT NULL GENERATED ALWAYS AS IDENTITY,
            ADD kind TEXT NOT NULL DEFAULT 'live',
            ALTER latitude SET NOT NULL, ALTER fuzzed_longitude SET NOT NULL;
        ALTER TABLE device_fingerprints ALTER device_id SET NOT NULL, ALTER device_model SET NOT NULL,
            ALTER platform SET NOT NULL, ALTER platform SET DEFAULT 'ios', ALTER session_id SET NOT NULL,
            ALTER user_id SET NOT NULL, ALTER created_at SET NOT NULL, ADD updated_at TIMESTAMPTZ NOT NULL;
    """,
    "a narrow text, and times without a zone": """
        ALTER TABLE after_hours_profiles ALTER description TYPE VARCHAR(20), ALTER created_at TYPE TIMESTAMP;
        ALTER TABLE after_hours_sessions ALTER started_at TYPE TIMESTAMP, ALTER expires_at TYPE TIMESTAMP,
            ALTER ended_at TYPE TIMESTAMP;
    """,
    "a shared table of devices without a session": """
        ALTER TABLE device_fingerprints DROP session_id, DROP device_model, DROP created_at;
    """,
}


@PASSED_BEFORE
@pytest.mark.parametrize("difference", ODD_TABLES)
def test_odd_tables_serve_every_endpoint(
    served: postgres.Database, call: Call, passed: str | None, difference: str
) -> None:
    make(served, passed, ODD_TABLES[difference])
    upgrade(served.connect)
    assert call("create_profile", body={}).status == 201
    assert call("create_preferences", body={}).status == 201
    use_every_endpoint(call)


MISSING = """
    ALTER TABLE after_hours_profiles DROP description, DROP updated_at;
    ALTER TABLE after_hours_preferences DROP created_at, DROP updated_at, DROP interests, DROP sexual_orientation;
    ALTER TABLE after_hours_sessions DROP fuzzed_latitude, DROP fuzzed_longitude, DROP created_at, DROP started_at;
    ALTER TABLE device_fingerprints DROP platform, DROP session_id;
"""


def test_missing_columns_are_added(served: postgres.Database, call: Call, new_structure: list[tuple[Any, ...]]) -> None:
    run(served, EARLIER_TABLES + EARLIER_ROWS + MISSING)
    upgrade(served.connect)
    assert structure(served) == new_structure
    run(
        served,
        "UPDATE after_hours_sessions SET ended_at = now(),"
        " latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL",
    )
    use_every_endpoint(call)


@PASSED_BEFORE
def test_earlier_rules_give_way_to_ours_and_rows_are_repaired(
    host: postgres.Database, new_structure: list[tuple[Any, ...]], output: Callable[[], str], passed: str | None
) -> None:
    make(host, passed, ODD_TABLES["a rule that contradicts ours"])
    if not passed:  # later our own rules are in force, and names of theirs are taken
        run(
            host,
            """
            ALTER TABLE after_hours_preferences
                ADD CONSTRAINT after_hours_preferences_ages CHECK (min_age > 18),
                ADD CONSTRAINT after_hours_preferences_seeking_gender CHECK (seeking_gender <> 'Non-binary');
            ALTER TABLE after_hours_profiles ADD CONSTRAINT after_hours_profiles_description UNIQUE (description);
            INSERT INTO after_hours_preferences (user_id, seeking_gender, max_distance_km, min_age, max_age)
                VALUES ('local-entitled', 'Non-Binary', 5, 20, 21)
            """,
        )
    upgrade(host.connect)
    assert structure(host) == new_structure
    if not passed:
        assert logged_repairs(output) == {"seeking gender unknown": 1}
        assert run(host, "SELECT seeking_gender, min_age FROM after_hours_preferences") == [
            {"seeking_gender": "Non-binary", "min_age": 20}
        ]


NO_INDEX = "DROP INDEX idx_after_hours_sessions_active_user;"
WEAK_INDEXES = [
    "",
    "CREATE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (user_id) WHERE ended_at IS NULL",
    "CREATE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (user_id)",
    "CREATE UNIQUE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (user_id, id)",
    "CREATE UNIQUE INDEX idx_after_hours_sessions_active_user ON after_hours_sessions (latitude) WHERE latitude < 9",
    "ALTER TABLE after_hours_sessions ADD CONSTRAINT idx_after_hours_sessions_active_user UNIQUE (user_id, id)",
]
OPEN_SESSIONS = """
    INSERT INTO after_hours_sessions
        (user_id, started_at, expires_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude) VALUES
        ('local-entitled', '2026-01-01Z', '2026-01-02Z', 1, 1, 1, 1),
        ('local-entitled', now() - interval '2 minutes', now() + interval '1 hour', 2, 2, 2, 2),
        ('local-entitled', now() - interval '1 minute', now() + interval '1 minute', 3, 3, 3, 3),
        ('local-other', now(), now() + interval '1 hour', 4, 4, 4, 4);
"""


@PASSED_BEFORE
@pytest.mark.parametrize("index", WEAK_INDEXES)
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


def test_sessions_without_their_times_are_over(host: postgres.Database, output: Callable[[], str]) -> None:
    run(
        host,
        EARLIER_TABLES
        + """
        ALTER TABLE after_hours_sessions ALTER started_at DROP NOT NULL, ALTER expires_at DROP NOT NULL;
        INSERT INTO after_hours_sessions VALUES
            (gen_random_uuid(), 'local-other', '2026-01-01Z', NULL, NULL, 1, 1, 1, 1),
            (gen_random_uuid(), 'local-entitled', NULL, '2026-01-01Z', NULL, 1, 1, 1, 1)
        """,
    )
    upgrade(host.connect)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    times = run(host, "SELECT DISTINCT started_at, expires_at FROM after_hours_sessions")
    assert times == [{"started_at": moment, "expires_at": moment}]
    assert logged_repairs(output) == {"sessions without their times": 2}


WHITE_SPACE = "".join(character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace())


@PASSED_BEFORE
def test_descriptions_are_trimmed_as_the_api_trims_them(
    host: postgres.Database, output: Callable[[], str], passed: str | None
) -> None:
    kept = ["\u200b zero-width space is not white space", "two\n\nlines"]
    repaired = [" \t\n", WHITE_SPACE, f"{WHITE_SPACE}in between{WHITE_SPACE}", "\thello\u3000"]
    make(host, passed)
    connection = host.connect()
    with closing(connection), connection, connection.cursor() as cursor:
        for number, text in enumerate(kept + repaired):
            cursor.execute("INSERT INTO users (id, provider) VALUES (%s, '')", (f"test-{number}",))
            cursor.execute(
                "INSERT INTO after_hours_profiles (user_id, description, photo_url) VALUES (%s, %s, '')",
                (f"test-{number}", text),
            )
    upgrade(host.connect)
    stored = run(host, "SELECT description FROM after_hours_profiles ORDER BY user_id")
    assert [row["description"] for row in stored] == [profiles._description(text) for text in kept + repaired]
    assert logged_repairs(output) == {"description untrimmed, empty or too long": len(repaired)}


def test_a_long_description_is_trimmed_before_and_after_it_is_cut(host: postgres.Database) -> None:
    run(host, EARLIER_TABLES)
    run(
        host,
        "INSERT INTO after_hours_profiles (user_id, photo_url, description)"
        " VALUES ('local-other', '', E'\\t\\n' || repeat('a', 499) || E'\\n' || repeat('b', 99))",
    )
    upgrade(host.connect)
    assert run(host, "SELECT description FROM after_hours_profiles") == [{"description": "a" * 499}]


@PASSED_BEFORE
def test_times_without_a_zone_are_read_as_utc(
    host: postgres.Database, new_structure: list[tuple[Any, ...]], passed: str | None
) -> None:
    times = ("started_at", "expires_at", "ended_at", "created_at")
    make(
        host,
        passed,
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


def test_the_rules_of_a_shared_table_of_devices_stay(host: postgres.Database) -> None:
    make(
        host,
        None,
        "ALTER TABLE device_fingerprints ADD CONSTRAINT theirs UNIQUE (user_id, device_id),"
        " ADD CONSTRAINT platforms CHECK (platform IN ('ios', 'android')), ADD kind TEXT NOT NULL DEFAULT 'phone'",
    )
    upgrade(host.connect)
    rules = (
        "SELECT conname FROM pg_constraint WHERE conrelid = 'device_fingerprints'::regclass AND contype IN ('u', 'c')"
    )
    assert run(host, rules + " ORDER BY 1") == [{"conname": "platforms"}, {"conname": "theirs"}]
    assert run(host, "SELECT attnotnull FROM pg_attribute WHERE attname = 'kind'") == [{"attnotnull": True}]


def test_the_role_need_not_own_tables_of_the_main_app(host: postgres.Database) -> None:
    """Nor does a reader of `users`, however long it reads, hold the deployment up."""
    run(
        host,
        """
        CREATE TABLE device_fingerprints (
            id UUID PRIMARY KEY, user_id VARCHAR(255), session_id UUID,
            device_id VARCHAR(255), device_model VARCHAR(100), platform VARCHAR(20), created_at TIMESTAMPTZ
        );
        DROP ROLE IF EXISTS deployment;
        CREATE ROLE deployment LOGIN PASSWORD 'deployment';
        GRANT CREATE ON SCHEMA public TO deployment;
        GRANT SELECT, REFERENCES ON users TO deployment;
        """,
    )
    with closing(host.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT FROM users")
        upgrade(replace(host, username="deployment", password="deployment").connect)


def test_a_failure_names_the_rule_and_never_the_row(
    served: postgres.Database, run_job: Any, output: Callable[[], str]
) -> None:
    run(served, EARLIER_TABLES)
    upgrade(served.connect, "0002")
    run(
        served,
        """
        ALTER TABLE after_hours_preferences ADD CONSTRAINT nobody CHECK (max_distance_km <> 10);
        INSERT INTO after_hours_preferences (user_id, interests) VALUES ('local-other', '{rare-interest}')
        """,
    )
    with pytest.raises(MigrationFailed) as failure:
        run_job("migrate_database")
    assert str(failure.value) == "CheckViolation 23514, table after_hours_preferences, constraint nobody"
    written = output() + "".join(traceback.format_exception(failure.value))
    assert "0003_rules_in_the_database.py" in written
    assert "rare-interest" not in written
    assert "local-other" not in written


def test_a_second_deployment_changes_nothing(host: postgres.Database) -> None:
    first = upgrade(host.connect)
    assert upgrade(host.connect) == first


@pytest.mark.parametrize("missing", [["after_hours_consent"], ["after_hours_consent", "after_hours_consent_at"]])
def test_the_consent_columns_are_added_if_missing(host: postgres.Database, missing: list[str]) -> None:
    run(host, "UPDATE users SET after_hours_consent_at = NULL")
    for column in missing:
        run(host, f"ALTER TABLE users DROP COLUMN {column}")
    upgrade(host.connect)
    assert run(host, "SELECT DISTINCT after_hours_consent, after_hours_consent_at FROM users") == [
        {"after_hours_consent": False, "after_hours_consent_at": None}
    ]


def test_without_the_host_tables_the_migration_fails_and_leaves_nothing(
    new_database: Callable[[str], postgres.Database],
) -> None:
    empty = new_database("empty")
    with pytest.raises(Exception, match="users"):
        upgrade(empty.connect)
    assert run(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


def test_two_deployments_at_once_wait_for_each_other(host: postgres.Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: upgrade(host.connect), range(2))
    assert first == second


def test_the_database_itself_refuses_a_second_open_session(host: postgres.Database) -> None:
    upgrade(host.connect)
    one = "INSERT INTO after_hours_sessions (user_id, expires_at) VALUES ('local-entitled', now());"
    with pytest.raises(psycopg2.errors.UniqueViolation):
        run(host, one + one)


@pytest.mark.parametrize("rule", ["UNIQUE (user_id, device_id)", "UNIQUE (device_id)", "UNIQUE (user_id)"])
def test_a_device_that_may_be_stored_once(served: postgres.Database, call: Call, rule: str) -> None:
    run(served, EARLIER_TABLES + f"ALTER TABLE device_fingerprints ADD {rule}")
    upgrade(served.connect)
    assert call("create_profile", body={}).status == 201
    start = {"duration": 15, "latitude": 52.5, "longitude": 13.4, "deviceFingerprint": {"deviceId": "d"}}
    for _ in range(2):
        assert call("start_session", body=start).status == 201
        assert call("end_session").status == 200
    assert run(served, "SELECT device_id FROM device_fingerprints") == [{"device_id": "d"}]


def test_the_main_app_deletes_accounts_from_any_search_path(served: postgres.Database, call: Call) -> None:
    upgrade(served.connect)
    assert call("create_profile", body={}).status == 201
    run(served, "UPDATE after_hours_profiles SET photo_url = 'k.jpg'")
    run(served, "SET search_path = ''; DELETE FROM public.users WHERE id = 'local-entitled'")
    assert {row["key"] for row in run(served, "SELECT key FROM after_hours_removals")} == {"k.jpg", "k_thumb.jpg"}


def unindexed(output: Callable[[], str]) -> list[str]:
    logged = [json.loads(line) for line in output().splitlines() if line.startswith("{")]
    return [line["command"] for line in logged if line["message"].startswith("an index is missing")]


def test_a_reference_to_sessions_without_an_index_is_named_with_what_mends_it(
    host: postgres.Database, output: Callable[[], str]
) -> None:
    run(host, EARLIER_TABLES)
    run(
        host,
        "CREATE TABLE matches (session_id UUID REFERENCES after_hours_sessions (id) ON DELETE CASCADE);"
        "CREATE TABLE reports (session_id UUID REFERENCES after_hours_sessions (id));"
        "CREATE INDEX ON reports (session_id)",
    )
    upgrade(host.connect)
    assert unindexed(output) == ["CREATE INDEX CONCURRENTLY ON matches (session_id)"]


def test_a_table_of_devices_that_is_not_ours_is_left_alone_and_named(
    host: postgres.Database, output: Callable[[], str]
) -> None:
    run(host, EARLIER_TABLES)
    run(
        host,
        "DROP ROLE IF EXISTS somebody; CREATE ROLE somebody; GRANT ALL ON SCHEMA public TO somebody;"
        "ALTER TABLE device_fingerprints OWNER TO somebody; DROP ROLE IF EXISTS ours;"
        "CREATE ROLE ours LOGIN PASSWORD 'ours'; GRANT ALL ON SCHEMA public TO ours;"
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO ours;"
        "ALTER TABLE after_hours_profiles OWNER TO ours; ALTER TABLE after_hours_preferences OWNER TO ours;"
        "ALTER TABLE after_hours_sessions OWNER TO ours",
    )
    upgrade(postgres.Database(host.port, "ours", username="ours", dbname=host.dbname).connect)
    assert unindexed(output) == [
        "CREATE INDEX CONCURRENTLY ON device_fingerprints (session_id)",
        "CREATE INDEX CONCURRENTLY ON device_fingerprints (user_id)",
    ]
    run(host, "DROP OWNED BY ours, somebody CASCADE; DROP ROLE ours, somebody")


def test_an_index_whose_building_was_broken_off_is_built_anew(host: postgres.Database) -> None:
    upgrade(host.connect, "0008")
    run(host, "CREATE INDEX after_hours_sessions_live ON after_hours_sessions (id) WHERE ended_at IS NULL")
    run(host, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'after_hours_sessions_live'::regclass")
    upgrade(host.connect)
    assert run(host, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'after_hours_sessions_live'::regclass") == [
        {"indisvalid": True}
    ]


def test_a_database_of_a_later_release_is_left_as_it_is(host: postgres.Database) -> None:
    upgrade(host.connect)
    run(host, "UPDATE after_hours_alembic_version SET version_num = '9999'")
    assert upgrade(host.connect) == "9999"
