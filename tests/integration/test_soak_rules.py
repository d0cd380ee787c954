"""Each rule of the soak finds the violation that it is for: one is planted at a time."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.scratch import REPOSITORY
from tests.support.world import World
from tools.local import postgres
from tools.local.workspace import Workspace
from tools.soak import records
from tools.soak.rules import ALWAYS, AT_REST, IN_THE_END, broken
from tools.soak.system import QUEUE

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


def upload(requested: str, changed: str = "0", *, leased: str = "NULL") -> str:
    return f"""
    INSERT INTO after_hours_photo_uploads (user_id, requested_at, changed_at, leased_until)
    VALUES ('local-entitled', now() - interval '{requested}', now() - interval '{changed}', {leased});
    """


def change(what: str, key: str = "a key") -> str:
    return f"INSERT INTO soak.changes (what, user_id, key) VALUES ('{what}', 'm', '{key}');"


def heard(
    type_: str = "SessionEnded", *, key: str = "a key", reason: str = "", event: str = "e", at: int = 0, fault: str = ""
) -> str:
    return f"""
    INSERT INTO soak.heard VALUES (gen_random_uuid(), {at}, '{event}', '{type_}', '{key}', '{reason}', '{fault}');
    """


def asked(what: str, outcome: str, key: str = "NULL") -> str:
    return f"INSERT INTO soak.asked VALUES ('{what}', 'm', {key}, '{outcome}');"


PROFILE = "INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled');"
LIVE = session("0", "1 hour")
ENDED = session("-5 hours", "-4 hours", ended="now() - interval '4 hours'")
SCHEDULE = "INSERT INTO soak.schedules SELECT 'expire-' || id, expires_at + interval '1 hour' FROM after_hours_sessions"
# By rule: the statements that plant rows that break it, some beside rows that are right.
PLANTED = {
    "has two open sessions": LIVE + session("0", "2 hours"),
    "is an ended session with a place": session("-2 hours", "-1 hour", ended="now()", place="52.5"),
    "is a session that expired before its end": (
        f"""{LIVE} {AUDITED} {heard(reason="expired")} UPDATE after_hours_sessions SET ended_at = now();
        UPDATE soak.heard SET key = id FROM after_hours_sessions"""
    ),
    "is a photo that two functions made at once": (
        f"""{upload("0", leased="now() + interval '30 seconds'")} {AUDITED}
        UPDATE after_hours_photo_uploads SET leased_until = leased_until + interval '10 seconds'"""
    ),
    "is an upload leased for more than a minute": upload("0", leased="now() + interval '2 minutes'"),
    "is a task that waits longer than it may": (
        task("event", "11 minutes") + task("r2", "11 minutes", 9) + task("uploads", "25 hours")
    ),
    "is a session that is open past its end": session("-1 hour", "-1 minute"),
    "is a live session whose member is not entitled": (
        PROFILE.replace("entitled", "no-premium") + session("0", "1 hour", user="local-no-premium")
    ),
    "is a session that ends in minutes, without a warning": PROFILE + session("-1 hour", "4 minutes"),
    "is a session with an exact place": f"{LIVE} UPDATE after_hours_sessions SET latitude = 52.5, longitude = 13",
    "is a task that was not done": (
        task("event", "-1 minute") + task("schedules", "1 minute") + task("r2", "1 minute", 1)
    ),
    "is an upload in which nothing has happened for a quarter of an hour": upload("17 minutes", "17 minutes"),
    "is an upload that a newer one replaced a day ago": upload("26 hours") + upload("0"),
    "is a session of a member who left more than an hour ago": (
        f"""{ENDED} UPDATE after_hours_sessions SET created_at = now() - interval '5 hours';
        INSERT INTO soak.changes (what, user_id, at) VALUES ('left', 'local-entitled', now() - interval '3 hours')"""
    ),
    "is a session that ended more than ninety days ago": (
        session("-92 days", "-91 days", ended="now() - interval '91 days'")
    ),
    "is the device of a session that is gone": (
        """INSERT INTO device_fingerprints (id, user_id, session_id)
        VALUES (gen_random_uuid(), 'local-entitled', gen_random_uuid())"""
    ),
    "is an open session without a schedule": LIVE,
    "is a schedule for another end than its session has": LIVE + SCHEDULE,
    "is a schedule of a session that has ended": ENDED + SCHEDULE,
    "is a schedule whose time is over": "INSERT INTO soak.schedules VALUES ('expire-x', now() - interval '1 hour')",
    "is in R2, and no row knows of it": "INSERT INTO soak.objects VALUES ('r2', 'a.jpg')",
    "is shown, and not in R2": f"{PROFILE} UPDATE after_hours_profiles SET photo_url = 'a/b.jpg'",
    "is in the upload bucket, and no row knows of it": "INSERT INTO soak.objects VALUES ('uploads', 'a')",
    "was never announced": change("SessionExtended") + change("SessionExtended") + heard("SessionExtended"),
    "was announced and did not happen": change("SessionExtended") + heard("SessionStarted"),
    "was answered 2xx, and nothing of it is there": (
        asked("SessionStarted", "done", "'an id'") + change("SessionStarted", "another")
    ),
    # Leaving deletes profile and preferences in one transaction, and is one change.
    "is not as often as the answers say": (
        f"""{asked("preferred", "done")} {asked("asked", "unknown")} {change("asked", "1")} {change("asked", "2")}
        {asked("SessionStarted", "refused")} {change("SessionStarted")}
        {asked("left", "done")} {change("left", "profile")} {change("left")}
        {asked("described", "done")} {asked("described", "unknown")} {asked("described", "refused")}
        {change("described")}"""
    ),
    "is not an event as docs/events describes it": heard(fault="odd"),
    "went with its account, and its end was announced for another reason": (
        f"""{change("ended with the account")} {heard(reason="user")}
        {change("ended with the account", "other")} {heard(reason="account_deleted", key="other")}"""
    ),
    # A leap between the claim and the sending ends the lease.
    "is an event that was sent again while another was sending it": (
        f"""{heard(at=201_000)} {heard(at=225_000)} {heard(event="soon", at=301_000)} {heard(event="soon", at=302_000)}
        {heard(event="late", at=1_000)} {heard(event="late", at=26_000)}
        {heard(event="leapt", at=100_000)} {heard(event="leapt", at=101_000)}
        INSERT INTO soak.leaps VALUES (1, 99000), (2, 174000), (3, 226000)"""
    ),
    "is longer than a sweep may take": "INSERT INTO soak.sweeps VALUES (45), (46)",
    "is in a log": "INSERT INTO soak.logs VALUES ('PostgreSQL', 'at -41.5')",
}
# How many rows break a rule, where it is not one.
SEVERAL = {
    "is a task that waits longer than it may": 3,
    "is a task that was not done": 3,
    "is shown, and not in R2": 2,
    "is not as often as the answers say": 3,
    "is an event that was sent again while another was sending it": 2,
}


@pytest.fixture
def database(world: World, migrated: postgres.Database) -> Iterator[Any]:
    """The soak's database, as a transaction that is rolled back, without triggers and checks of references."""
    with closing(migrated.connect()) as connection, connection.cursor() as cursor:

        def run(statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

        run(f"{AUDIT}; {UNGUARDED}; SET LOCAL session_replication_role = replica")
        yield SimpleNamespace(run=run)
        connection.rollback()


def test_each_rule_finds_the_violations_that_are_planted(database: Any) -> None:
    rules, numbers = {**ALWAYS, **AT_REST, **IN_THE_END}, {}
    assert not any(broken(database, rules).values())
    for rule, planted in PLANTED.items():
        database.run(f"SAVEPOINT before; {planted}")
        numbers[rule] = len(broken(database, {rule: rules[rule]})[rule])
        database.run("ROLLBACK TO before")
    assert numbers == dict.fromkeys(rules, 1) | SEVERAL


def test_logs_with_secrets_and_events_with_faults_are_recorded(
    database: Any, client: Callable[[str], Any], tmp_path: Path
) -> None:
    """What the soak would take for right if it were not recorded."""
    workspace, secret = Workspace(tmp_path), "x" * 24
    clients = {name: client(name) for name in ("logs", "secretsmanager", "sqs")}
    stack = SimpleNamespace(functions={})
    system: Any = SimpleNamespace(database=database, clients=clients, workspace=workspace, stack=stack)
    workspace.logs.mkdir(parents=True)
    (workspace.logs / "postgresql.log").write_text(f"a secret: {secret}\0")
    clients["secretsmanager"].create_secret(Name="soak", SecretString=json.dumps({"key": secret, "short": "x"}))
    queue = clients["sqs"].create_queue(QueueName=QUEUE)["QueueUrl"]
    event = {"source": "after-hours", "detail-type": "SessionEnded", "detail": {"eventId": "e", "sessionId": "s"}}
    for _ in range(2):
        clients["sqs"].send_message(QueueUrl=queue, MessageBody=json.dumps(event))

    records.listen(system)
    records.read_logs(system)

    found = broken(database, IN_THE_END)
    assert found["is in a log"] == {"secret of soak in the log of PostgreSQL"}
    assert found["is an event that was sent again while another was sending it"] == {"e"}
    [fault] = found["is not an event as docs/events describes it"]
    assert "'occurredAt' is a required property" in fault
    clients["sqs"].delete_queue(QueueUrl=queue)
