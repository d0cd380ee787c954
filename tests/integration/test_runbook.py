"""docs/operations.md: its statements run in PostgreSQL, and a restore as it describes it loses no more than it must."""

import re
from pathlib import Path
from unittest.mock import Mock
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from infra.options import FUNCTIONS
from infra.stages import STAGES
from tests.support.phone import JPEG, Phone
from tests.support.world import World, keys_of, original_of, schedules_of
from tools.ops import pause, sql

RUNBOOK = Path("docs/operations.md").read_text()
RESTORE = Path("tools/ops/restore")
OUTPUTS = {"DatabaseClusterArn": "arn:aws:rds:eu-west-1:1:cluster:c", "DatabaseSecretArn": "arn:secret"}
# In code, from its first word to what ends it: a back tick, a quotation mark, a semicolon, or the end of its block.
# Left out: CREATE EXTENSION, since the embedded server lacks it, and ANALYZE, which would change plans in other tests.
STATEMENTS = re.findall(r'[`"\n](?:sql=)?((?:SELECT|WITH|REVOKE|CREATE INDEX|CREATE ROLE) [^`";]+)[`";]', RUNBOOK)
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


def test_every_statement_of_the_runbook_runs(world: World) -> None:
    assert len(STATEMENTS) >= 5
    assert set(re.findall(r"FILE=(\S+?\.sql)", RUNBOOK)) == {str(path) for path in RESTORE.iterdir()}
    # The main app's, and a view that Aurora has and the embedded server has not.
    world.rows("CREATE TABLE after_hours_matches (session_id UUID)")
    world.rows("CREATE TABLE pg_stat_statements (calls BIGINT, total_exec_time FLOAT, query TEXT)")
    try:
        for statement in STATEMENTS:
            world.rows(statement.replace("<pid>", "0").replace("after_hours_app", "role_of_the_page"))
    finally:
        world.rows("DROP TABLE after_hours_matches, pg_stat_statements; DROP ROLE IF EXISTS role_of_the_page")


def test_rows_are_shown_with_their_columns_and_a_paused_cluster_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    asleep = ClientError({"Error": {"Code": "DatabaseResumingException", "Message": ""}}, "ExecuteStatement")
    columns = [{"name": "one"}, {"name": "none"}]
    answer = {"columnMetadata": columns, "records": [[{"longValue": 1}, {"isNull": True}]]}
    client = Mock(**{"execute_statement.side_effect": [asleep, asleep, answer]})
    assert list(sql.run(client, OUTPUTS, "SELECT 1 AS one, NULL AS none")) == [["one", "none"], ["1", "NULL"]]


def test_what_is_paused_gets_back_what_its_row_reserves() -> None:
    calls: dict[str, int] = {}

    class Functions:
        def put_function_concurrency(self, *, FunctionName: str, ReservedConcurrentExecutions: int) -> None:  # noqa: N803
            calls[FunctionName.removeprefix("AfterHours-prod-")] = ReservedConcurrentExecutions

    prod = STAGES["prod"]
    pause.pause(Functions(), prod)
    assert calls == dict.fromkeys(set(FUNCTIONS) - {"migrate_database"}, 0), "a deployment runs migrations"
    pause.resume(Functions(), prod)
    assert prod.concurrency
    assert calls == {name: prod.concurrency.of(name) for name in calls}


# A restore: the database goes back to an earlier moment; stores and bus do not.


def restore(world: World, file: str, *lines: str) -> None:
    """As `make sql FILE=… LINES=…`."""
    statement = re.sub(r"(?<!:):lines", "%(lines)s", (RESTORE / file).read_text().replace("%", "%%"))
    world.rows(statement, lines="\n".join([*lines, ""]))


def test_a_restore_loses_no_more_than_it_must(world: World) -> None:
    stays, leaves = Phone("entitled"), Phone("other")
    photos = []
    for each in (stays, leaves):
        each.create_profile()
        each.create_preferences()
        photos.append(each.send())
        assert world.announce(original_of(photos[-1], each.id), len(JPEG)) == "ready"
    leaves.start()
    leaves.end()
    world.rows("INSERT INTO device_fingerprints (user_id, device_id) VALUES (%s, 'of the main app')", leaves.id)
    live = stays.start(duration=15)
    world.rows("DROP SCHEMA IF EXISTS moment CASCADE; CREATE SCHEMA moment")
    for (table,) in world.rows(TABLES):
        world.rows(f"CREATE TABLE moment.{table} AS TABLE public.{table}")

    stays.end()
    lost = stays.start()
    lost_photo = uuid4()
    for key in keys_of(lost_photo):
        world.put_photo(key)
    leaves.leave()
    world.pass_time(minutes=31)
    world.sweep()
    assert world.photos() == keys_of(photos[0]) | keys_of(lost_photo)

    # Rows come back as they were: a restore fires no trigger.
    world.rows("SET session_replication_role = replica")
    for (table,) in world.rows(TABLES):
        world.rows(f"DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE moment.{table}")
    world.rows("RESET session_replication_role; DROP SCHEMA moment CASCADE")
    restore(world, "who_left.sql", leaves.id)
    assert world.counts("after_hours_profiles", "after_hours_preferences") == [1, 1]
    restore(world, "orphans.sql", *world.photos())
    world.pass_time(minutes=31)
    did = world.sweep()

    assert (did["expired"], did["eventsPublished"]) == (1, 1)
    assert stays.session() is None
    sessions = world.rows("SELECT id::text, fuzzed_latitude FROM after_hours_sessions WHERE user_id = %s", stays.id)
    assert sessions == [(str(live.id), None)]
    devices = world.rows("SELECT device_id FROM device_fingerprints WHERE user_id = %s", leaves.id)
    assert devices == [("of the main app",)], "the main app may own the table"
    assert [world.fire(kind, lost.id) for kind in ("warning", "expiry")] == ["ignored", "ignored"]
    assert world.photos() == keys_of(photos[0])
    assert world.counts("after_hours_profiles", "after_hours_outbox") == [1, 0]
    assert schedules_of(stays.start()).items() <= world.schedules().items()
