"""Migrations run on an empty database and on one that served members for a year, and lose nothing."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest
from after_hours import config

from local import members, postgres
from migrations.upgrade import upgrade
from tests.integration.conftest import Answer

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
    logged = [json.loads(line) for line in output().splitlines() if line.startswith("{")]
    repaired = {line["wrong"]: line["rows"] for line in logged if "wrong" in line}
    assert repaired == {
        "description too long or empty": 2,
        "age out of range": 2,
        "ages crossed": 1,
        "distance out of range": 2,
        "seeking gender unknown": 2,
        "sexual orientation unknown": 2,
        "location off the earth": 1,
    }


def test_a_migrated_database_serves_every_endpoint(
    host: postgres.Database, deployed: dict[str, str], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(host, EARLIER_TABLES + BROKEN_ROWS)
    upgrade(host.connect)
    monkeypatch.setattr(config.database_secret, "_value", config.DatabaseSecret.model_validate(host.secret))
    monkeypatch.setattr(config.database_secret, "_read_at", time.monotonic())
    assert call("get_profile").body["profile"]["description"].startswith('{"aaa')
    assert call("update_profile", body={"description": "new"}).status == 200
    assert call("get_preferences").body["preferences"]["minAge"] == 25
    assert call("update_preferences", body={"maxAge": 30}).status == 200
    start = {"duration": 15, "latitude": 52.5, "longitude": 13.4, "deviceFingerprint": {"deviceId": "d"}}
    assert call("start_session", body=start).status == 201
    assert call("extend_session", body={"additionalMinutes": 15}).status == 200
    assert call("get_session").body["active"] is True
    assert call("end_session").status == 200
    assert call("delete_profile").status == 204
    assert call("create_profile", body={}).status == 201
    assert call("create_preferences", body={}).status == 201


def columns(database: postgres.Database) -> set[tuple[str, str]]:
    rows = run(
        database,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND (table_name LIKE 'after_hours%' OR table_name = 'device_fingerprints')",
    )
    return {(row["table_name"], row["column_name"]) for row in rows}


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
    host: postgres.Database, new_database: Callable[[str], postgres.Database]
) -> None:
    run(host, EARLIER_TABLES + EARLIER_ROWS)
    upgrade(host.connect)
    fresh = new_database("fresh")
    connection = fresh.connect()
    members.create_host_tables(connection)
    connection.close()
    upgrade(fresh.connect)
    assert columns(host) == columns(fresh)


def test_a_second_deployment_changes_nothing(host: postgres.Database) -> None:
    first = upgrade(host.connect)
    assert upgrade(host.connect) == first


def test_the_consent_columns_are_added_if_missing(host: postgres.Database) -> None:
    run(host, "ALTER TABLE users DROP COLUMN after_hours_consent, DROP COLUMN after_hours_consent_at")
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
