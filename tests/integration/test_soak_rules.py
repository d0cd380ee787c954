"""Each rule of the soak finds the violation that it is for: one is planted at a time."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812 (a class)

from tests.support.scratch import REPOSITORY
from tests.support.world import World
from tools.local import postgres
from tools.local.workspace import Workspace
from tools.soak import records
from tools.soak.clock import Clock
from tools.soak.database import RetryingDatabase
from tools.soak.rules import ALWAYS, AT_REST, IN_THE_END, broken
from tools.soak.system import System

AUDIT = (REPOSITORY / "tools/soak/audit.sql").read_text()
# What the database itself refuses is let in: the soak looks whether a fault gets past that, too.
UNGUARDED = """
    ALTER TABLE after_hours_sessions DROP CONSTRAINT after_hours_sessions_place_erased;
    ALTER TABLE after_hours_outbox DROP CONSTRAINT after_hours_outbox_payload;
    DROP INDEX idx_after_hours_sessions_active_user
"""
AUDITED = "SET LOCAL session_replication_role = origin;"


def session(start: str, end: str, *, ended: str = "NULL", place: str = "NULL", user: str = "local-entitled") -> str:
    return f"""
    INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at, fuzzed_latitude, fuzzed_longitude)
    VALUES ('{user}', now() + interval '{start}', now() + interval '{end}', {ended}, {place}, {place});
    """


def task(kind: str, due: str, attempts: int = 0) -> str:
    return f"""
    INSERT INTO after_hours_outbox (kind, key, due_at, attempts)
    VALUES ('{kind}', 'a key', now() + interval '{due}', {attempts});
    """


def upload(requested: str, *, status: str = "pending", changed: str = "0", leased: str = "NULL") -> str:
    return f"""
    INSERT INTO after_hours_photo_uploads (user_id, id, status, requested_at, changed_at, leased_until) VALUES (
        'local-entitled', gen_random_uuid(), '{status}', now() - interval '{requested}',
        now() - interval '{changed}', {leased}
    );
    """


def change(what: str, key: str = "a key", user: str = "m") -> str:
    return f"INSERT INTO soak.changes (what, user_id, key) VALUES ('{what}', '{user}', '{key}');"


def heard(type_: str, reason: str = "") -> str:
    return f"INSERT INTO soak.heard VALUES (gen_random_uuid(), '{type_}', 'a key', '{reason}');"


def asked(what: str, outcome: str, key: str = "NULL") -> str:
    return f"INSERT INTO soak.asked VALUES ('{what}', 'm', {key}, '{outcome}');"


PROFILE = "INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled');"
LIVE = session("0", "1 hour")
ENDED = session("-5 hours", "-4 hours", ended="now() - interval '4 hours'")
SCHEDULE = "INSERT INTO soak.schedules SELECT 'expire-' || id, expires_at + interval '1 hour' FROM after_hours_sessions"
PLANTED = [
    ("has two open sessions", LIVE + session("0", "2 hours")),
    (
        "is an ended session with a place",
        session("-2 hours", "-1 hour", ended="now() - interval '1 hour'", place="52.5"),
    ),
    (
        "is a session that expired before its end",
        f"""{LIVE} {AUDITED}
        INSERT INTO soak.heard SELECT 'e', 'SessionEnded', id, 'expired' FROM after_hours_sessions;
        UPDATE after_hours_sessions SET ended_at = now()""",
    ),
    (
        "is a photo that two functions made at once",
        f"""{upload("0", leased="now() + interval '30 seconds'")} {AUDITED}
        UPDATE after_hours_photo_uploads SET leased_until = leased_until + interval '10 seconds'""",
    ),
    (
        "is an upload leased for more than a minute",
        upload("0", status="processing", leased="now() + interval '2 minutes'"),
    ),
    ("is a task that waits longer than it may", task("event", "11 minutes")),
    ("is a task that waits longer than it may", task("r2", "11 minutes", 9)),
    ("is a task that waits longer than it may", task("uploads", "25 hours")),
    ("is a session that is open past its end", session("-1 hour", "-1 minute")),
    (
        "is a live session whose member is not entitled",
        PROFILE.replace("entitled", "no-premium") + session("0", "1 hour", user="local-no-premium"),
    ),
    ("is a session that ends in minutes, without a warning", PROFILE + session("-1 hour", "4 minutes")),
    ("is a session with an exact place", LIVE + "UPDATE after_hours_sessions SET latitude = 52.5, longitude = 13.4"),
    ("is a task that was not done", task("event", "-1 minute")),
    ("is a task that was not done", task("schedules", "1 minute")),
    ("is a task that was not done", task("r2", "1 minute", 1)),
    (
        "is an upload in which nothing has happened for a quarter of an hour",
        upload("17 minutes", changed="17 minutes"),
    ),
    ("is an upload that a newer one replaced a day ago", upload("26 hours") + upload("0")),
    (
        "is a session of a member who left more than an hour ago",
        f"""{ENDED} UPDATE after_hours_sessions SET created_at = now() - interval '5 hours';
        INSERT INTO soak.changes (what, user_id, at) VALUES ('left', 'local-entitled', now() - interval '3 hours')""",
    ),
    (
        "is a session that ended more than ninety days ago",
        session("-92 days", "-91 days", ended="now() - interval '91 days'"),
    ),
    (
        "is the device of a session that is gone",
        """INSERT INTO device_fingerprints (id, user_id, session_id)
        VALUES (gen_random_uuid(), 'local-entitled', gen_random_uuid())""",
    ),
    ("is an open session without a schedule", LIVE),
    ("is a schedule for another end than its session has", LIVE + SCHEDULE),
    ("is a schedule of a session that has ended", ENDED + SCHEDULE),
    ("is a schedule whose time is over", "INSERT INTO soak.schedules VALUES ('expire-x', now() - interval '1 hour')"),
    ("is in R2, and no row knows of it", "INSERT INTO soak.objects VALUES ('r2', 'a.jpg')"),
    ("is shown, and not in R2", PROFILE + "UPDATE after_hours_profiles SET photo_url = 'a/b.jpg'"),
    ("is in the upload bucket, and no row knows of it", "INSERT INTO soak.objects VALUES ('uploads', 'a')"),
    ("was never announced", change("extended") + change("extended") + heard("SessionExtended")),
    ("was announced and did not happen", change("extended") + heard("SessionStarted")),
    (
        "was answered 2xx, and nothing of it is there",
        asked("started", "done", "'an id'") + change("started", "another"),
    ),
    ("was refused, and is there all the same", asked("described", "refused", "'a key'") + change("described")),
    ("is not as often as the answers say", asked("preferred", "done")),
    ("is not as often as the answers say", asked("asked", "unknown") + change("asked", "1") + change("asked", "2")),
    (
        "is not an event as docs/events describes it",
        "INSERT INTO soak.heard VALUES ('e', 'PhotoReady', 'k', '', 'odd')",
    ),
    (
        "went with its account, and its end was announced for another reason",
        change("ended with the account") + heard("SessionEnded", "user"),
    ),
    (
        "is an event that was sent again while another was sending it",
        """INSERT INTO soak.sent VALUES ('e', 101), ('e', 125);
        INSERT INTO soak.leaps VALUES (1, 76), (2, 126)""",
    ),
    ("is longer than a sweep may take", "INSERT INTO soak.sweeps VALUES (46)"),
    ("is in a log", "INSERT INTO soak.logs VALUES ('PostgreSQL', 'at -41.5')"),
]
# What a rule must not take for a violation.
RIGHT = {
    # Leaving deletes profile and preferences in one transaction, and is one change.
    "is not as often as the answers say": f"""
    {asked("left", "done")} {change("left", "profile")} {change("left")}
    {asked("extended", "done")} {asked("extended", "unknown")} {asked("extended", "refused")} {change("extended")}""",
    "went with its account, and its end was announced for another reason": change("ended with the account")
    + heard("SessionEnded", "account_deleted"),
    # A leap between the claim and the sending ends the lease.
    "is an event that was sent again while another was sending it": """
    INSERT INTO soak.sent VALUES ('a', 1), ('a', 26), ('b', 1), ('c', 100), ('c', 101);
    INSERT INTO soak.leaps VALUES (1, 99)""",
}
RULES = {**ALWAYS, **AT_REST, **IN_THE_END}


class Transaction(RetryingDatabase):
    """The soak's database, as one transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def run(self, statement: str, parameters: Any = None, **_: object) -> list[tuple[Any, ...]]:
        self._cursor.execute(statement, parameters)
        return self._cursor.fetchall() if self._cursor.description else []


@pytest.fixture
def database(world: World, migrated: postgres.Database) -> Iterator[Transaction]:
    """A transaction that is rolled back, in which no trigger runs and no reference is checked."""
    with closing(migrated.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"{AUDIT}; {UNGUARDED}; SET LOCAL session_replication_role = replica")
        yield Transaction(cursor)
        connection.rollback()


@pytest.mark.parametrize(("rule", "planted"), PLANTED, ids=[rule for rule, _ in PLANTED])
def test_a_rule_finds_the_violation_that_is_planted(database: Transaction, rule: str, planted: str) -> None:
    database.run(f"SAVEPOINT before; {RIGHT.get(rule, '')}")
    assert broken(database, {rule: RULES[rule]}) == {rule: set()}
    database.run(f"ROLLBACK TO before; {planted}")
    assert broken(database, {rule: RULES[rule]}) != {rule: set()}


def test_every_rule_has_a_violation() -> None:
    assert {rule for rule, _ in PLANTED} == {*RULES}


def test_what_is_at_aws_is_recorded(database: Transaction, client: Callable[[str], Any], tmp_path: Path) -> None:
    workspace, value = Workspace(tmp_path), "x" * 24
    stack: Any = SimpleNamespace(functions={}, schedule_group="soak", r2_bucket="soak-r2", upload_bucket="soak-uploads")
    none: Any = None
    system = System(workspace, stack, none, database, none, none, Clock())
    system._clients = {name: client(name) for name in ("scheduler", "s3", "sqs", "secretsmanager", "logs")}
    scheduler, s3, sqs, secrets, _ = system._clients.values()
    workspace.logs.mkdir(parents=True)
    (workspace.logs / "postgresql.log").write_text(f"a secret: {value}\0")
    secrets.create_secret(Name="soak", SecretString=json.dumps({"key": value, "short": "x"}))
    scheduler.create_schedule_group(Name="soak")
    target = {"Arn": "arn:aws:lambda:us-east-1:123456789012:function:f", "RoleArn": "arn:aws:iam::123456789012:role/r"}
    scheduler.create_schedule(
        GroupName="soak", Name="expire-1", ScheduleExpression="at(2020-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"}, Target=target,
    )  # fmt: skip
    for bucket in ("soak-r2", "soak-uploads"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=f"in {bucket}", Body=b"")
    queue = sqs.create_queue(QueueName="soak")["QueueUrl"]
    detail = {"eventId": "e", "sessionId": "s", "reason": "user"}
    body = {"source": "after-hours", "detail-type": "SessionEnded", "detail": detail}
    for _ in range(2):
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(body))

    records.listen(system)
    for _ in range(2):
        records.look_at_aws(system)
    records.read_logs(system)

    [(*heard, fault)] = database.run("SELECT * FROM soak.heard")
    assert heard == ["e", "SessionEnded", "s", "user"]
    assert "'occurredAt' is a required property" in fault
    assert database.run("SELECT name, at::text FROM soak.schedules") == [("expire-1", "2020-01-01 00:00:00+00")]
    assert database.run("SELECT * FROM soak.objects") == [("r2", "in soak-r2"), ("uploads", "in soak-uploads")]
    assert broken(database, {"in a log": IN_THE_END["is in a log"]}) == {
        "in a log": {"secret of soak in the log of PostgreSQL"}
    }
    sqs.delete_queue(QueueUrl=queue)
