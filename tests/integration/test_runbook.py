"""The statements of docs/operations.md run in PostgreSQL, and do what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.options import FUNCTIONS
from infra.stages import STAGES
from tests.support.world import World
from tools.ops import pause, sql

RUNBOOK = Path("docs/operations.md").read_text()
RESTORE = Path("tools/ops/restore")
OUTPUTS = {"DatabaseClusterArn": "arn:aws:rds:eu-west-1:1:cluster:c", "DatabaseSecretArn": "arn:secret"}
# In code, from its first word to what ends it: a back tick, a quotation mark, a semicolon, or the end of its block.
STATEMENTS = re.findall(r'[`"\n](?:sql=)?((?:SELECT|WITH|REVOKE|CREATE INDEX) [^`";]+)[`";]', RUNBOOK)


class DataApi:
    """The RDS Data API over a connection to the embedded server."""

    def __init__(self, world: World) -> None:
        self.world, self.asleep = world, 0

    def execute_statement(self, *, sql: str, parameters: list[Any], **where: Any) -> Any:
        assert (where["resourceArn"], where["secretArn"]) == tuple(OUTPUTS.values())
        if self.asleep:
            self.asleep -= 1
            raise ClientError({"Error": {"Code": "DatabaseResumingException", "Message": ""}}, "ExecuteStatement")
        values = {each["name"]: each["value"]["stringValue"] for each in parameters}
        if values:
            sql = re.sub(r"(?<!:):(\w+)", r"%(\1)s", sql.replace("%", "%%"))
        with self.world.own_connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            if cursor.description is None:
                return {"numberOfRecordsUpdated": cursor.rowcount}
            return {
                "columnMetadata": [{"name": column.name} for column in cursor.description],
                "records": [
                    [{"isNull": True} if value is None else {"stringValue": str(value)} for value in row]
                    for row in cursor.fetchall()
                ],
            }


@pytest.fixture
def shown(world: World) -> World:
    """A member with a profile, a photo and preferences."""
    world.rows(
        "INSERT INTO after_hours_profiles (user_id, photo_url)"
        " VALUES ('local-entitled', 'after-hours-photos/local-entitled/shown.jpg')"
    )
    world.rows("INSERT INTO after_hours_preferences (user_id) VALUES ('local-entitled')")
    return world


def run(world: World, statement: str, lines: str | None = None) -> list[list[str]]:
    return list(sql.run(DataApi(world), OUTPUTS, statement, lines))


def deletions(world: World) -> set[str]:
    return {key for (key,) in world.rows("SELECT key FROM after_hours_outbox WHERE kind = 'r2'")}


def test_who_left_in_the_lost_hours_goes_again_and_their_photos_with_them(shown: World) -> None:
    run(shown, (RESTORE / "who_left.sql").read_text(), "local-other\nlocal-entitled\n")
    assert shown.counts("after_hours_profiles", "after_hours_preferences") == [0, 0]
    assert deletions(shown) == {f"after-hours-photos/local-entitled/shown{size}.jpg" for size in ("", "_thumb")}


def test_objects_that_no_profile_shows_are_handed_to_the_sweep_and_no_others(shown: World) -> None:
    folder = "after-hours-photos/local-entitled"
    keys = [f"{folder}/{name}{size}.jpg" for name in ("shown", "lost") for size in ("", "_thumb")]
    run(shown, (RESTORE / "orphans.sql").read_text(), "\n".join([*keys, ""]))
    assert deletions(shown) == {f"{folder}/lost.jpg", f"{folder}/lost_thumb.jpg"}


def test_the_runbook_s_statements_are_found() -> None:
    assert len(STATEMENTS) >= 5
    assert set(re.findall(r"FILE=(\S+?\.sql)", RUNBOOK)) == {str(path) for path in RESTORE.iterdir()}


def test_every_statement_of_the_runbook_runs(world: World) -> None:
    # The main app's, and a view that Aurora has and the embedded server has not.
    world.rows("CREATE TABLE after_hours_matches (session_id UUID)")
    world.rows("CREATE TABLE pg_stat_statements (calls BIGINT, total_exec_time FLOAT, query TEXT)")
    try:
        for statement in STATEMENTS:
            world.rows(statement.replace("<pid>", "0"))
    finally:
        world.rows("DROP TABLE after_hours_matches, pg_stat_statements")


def test_rows_are_shown_with_their_columns_and_a_paused_cluster_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    api = DataApi(world)
    api.asleep = 2
    found = list(sql.run(api, OUTPUTS, "SELECT 1 AS one, NULL AS none"))
    assert found == [["one", "none"], ["1", "NULL"]]


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
