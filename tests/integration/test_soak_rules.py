"""Each rule and each check of the soak finds the violation that it is for: one is planted at a time."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812 (a class)

from tests.support.scratch import REPOSITORY
from tests.support.world import World
from tools.local import postgres
from tools.local.workspace import Workspace
from tools.soak import checks, rounds
from tools.soak.checks import Check
from tools.soak.clock import Clock
from tools.soak.journal import Journal, Outcome
from tools.soak.phones import TEXT
from tools.soak.proxy import Sighting
from tools.soak.rules import ALWAYS, AT_REST
from tools.soak.system import System

AUDIT = (REPOSITORY / "tools/soak/audit.sql").read_text()
# What the database itself refuses is let in: the soak looks whether a fault gets past that, too.
UNGUARDED = """
    ALTER TABLE after_hours_sessions DROP CONSTRAINT after_hours_sessions_place_erased;
    DROP INDEX idx_after_hours_sessions_active_user
"""
PAYLOADS = {
    "event": '{"type": "T", "occurredAt": "", "detail": {}}',
    "schedules": '{"expiresAt": null}',
    "uploads": "{}",
    "r2": "{}",
}


def session(start: str, end: str, *, ended: str = "NULL", place: str = "NULL", who: str = "local-entitled") -> str:
    columns = "user_id, started_at, expires_at, ended_at, fuzzed_latitude, fuzzed_longitude"
    times = f"now() + interval '{start}', now() + interval '{end}', {ended}"
    return (
        f"INSERT INTO after_hours_sessions ({columns}) VALUES ('{who}', {times}, {place}, {place}) RETURNING id::text"
    )


def task(kind: str, due: str, attempts: int = 0) -> str:
    return (
        "INSERT INTO after_hours_outbox (kind, key, payload, due_at, attempts)"
        f" VALUES ('{kind}', 'a key', '{PAYLOADS[kind]}', now() + interval '{due}', {attempts})"
    )


def upload(requested: str, *, status: str = "pending", changed: str = "0", leased: str = "NULL") -> str:
    return (
        "INSERT INTO after_hours_photo_uploads (user_id, id, status, requested_at, changed_at, leased_until) VALUES"
        f" ('local-entitled', gen_random_uuid(), '{status}', now() - interval '{requested}',"
        f" now() - interval '{changed}', {leased})"
    )


def note(what: str, key: str = "a key") -> str:
    return f"SELECT soak.note('{what}', 'local-entitled', '{key}')"


AUDITED = "SET LOCAL session_replication_role = origin"
PROFILE = "INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled');"
LIVE = session("0", "1 hour")
ENDED = session("-5 hours", "-4 hours", ended="now() - interval '4 hours'")
PLANTED = {
    "has two open sessions": LIVE + ";" + session("0", "2 hours"),
    "is an ended session with a place": session("-2 hours", "-1 hour", ended="now() - interval '1 hour'", place="52.5"),
    "is a session that was ended before its end": f"""{LIVE};{AUDITED};
    SELECT after_hours_put_session_ended('local-entitled', id, now(), 'expired', '0') FROM after_hours_sessions;
    UPDATE after_hours_sessions SET ended_at = now()""",
    "is a photo that two functions made at once": f"""{upload("0", leased="now() + interval '30 seconds'")};{AUDITED};
    UPDATE after_hours_photo_uploads SET leased_until = leased_until + interval '10 seconds'""",
    "is an upload leased for more than a minute": upload(
        "0", status="processing", leased="now() + interval '2 minutes'"
    ),
    "is an event that waits for more than ten minutes": task("event", "11 minutes", 9),
    "is a failed deletion that waits for more than ten minutes": task("r2", "11 minutes", 9),
    "is a deletion that waits for more than a day": task("uploads", "25 hours"),
    "is a session whose schedules wait for more than ten minutes": task("schedules", "11 minutes", 9),
    "is a session that is open past its end": session("-1 hour", "-1 minute"),
    "is the live session of a member who is not entitled": PROFILE.replace("entitled", "noPremium")
    + session("0", "1 hour", who="local-noPremium"),
    "is a session that ends in minutes, without a warning": PROFILE + session("-1 hour", "4 minutes"),
    "is a session with an exact place": LIVE + ";UPDATE after_hours_sessions SET latitude = 52.5, longitude = 13.4",
    "is an event that was not sent": task("event", "-1 minute"),
    "is a session with wrong schedules": task("schedules", "1 minute"),
    "is an upload in which nothing has happened for a quarter of an hour": upload("17 minutes", changed="17 minutes"),
    "is an object that must be deleted": task("r2", "-1 minute"),
    "is an upload that a newer one replaced a day ago": upload("26 hours") + ";" + upload("0"),
    "is a session of a member who left more than an hour ago": ENDED
    + """;UPDATE after_hours_sessions SET created_at = now() - interval '5 hours';
    INSERT INTO soak.changes (what, user_id, at) VALUES ('left', 'local-entitled', now() - interval '3 hours')""",
    "is a session that ended more than ninety days ago": session(
        "-92 days", "-91 days", ended="now() - interval '91 days'"
    ),
    "is the device of a session that is gone": (
        "INSERT INTO device_fingerprints (id, user_id, session_id)"
        " VALUES (gen_random_uuid(), 'local-entitled', gen_random_uuid())"
    ),
}


@pytest.fixture
def cursor(world: World, migrated: postgres.Database) -> Iterator[Cursor]:
    """A transaction that is rolled back, in which no trigger runs and no reference is checked."""
    with closing(migrated.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(AUDIT)
        cursor.execute(UNGUARDED)
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        connection.rollback()


@pytest.mark.parametrize("rule", ALWAYS | AT_REST)
def test_a_planted_violation_of_a_rule_is_found(cursor: Cursor, rule: str) -> None:
    statement = (ALWAYS | AT_REST)[rule].replace("%%", "%")
    cursor.execute(statement)
    assert cursor.fetchall() == []
    cursor.execute(PLANTED[rule])
    cursor.execute(statement)
    assert cursor.fetchall() != []


@dataclass
class Scene:
    """A soak's system on moto's AWS, to plant violations in."""

    system: System
    journal: Journal

    def sql(self, statement: str) -> str:
        """Return the first value, if there is one."""
        rows = self.system.database.run(statement)
        return str(rows[0][0]) if rows else ""

    def schedule(self, session_id: str, hours: int) -> None:
        at = datetime.now(UTC) + timedelta(hours=hours)
        self.system.client("scheduler").create_schedule(
            GroupName=self.system.stack.schedule_group, Name=f"expire-{session_id}",
            ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"}, Target={"Arn": "arn:aws:lambda:a:1:function:f", "RoleArn": "r"},
        )  # fmt: skip

    def put(self, bucket: str) -> None:
        self.system.client("s3").put_object(Bucket=getattr(self.system.stack, bucket), Key=str(uuid4()), Body=b"")

    def hear(self, **detail: str) -> None:
        body = json.dumps({"detail-type": "SessionEnded", "detail": {"eventId": "e", **detail}})
        sqs = self.system.client("sqs")
        sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="soak")["QueueUrl"], MessageBody=body)

    def log(self, line: str) -> None:
        (self.system.workspace.logs / "postgresql.log").write_text(line)


def end_for_another_reason(scene: Scene) -> None:
    scene.sql(note("ended with the account"))
    scene.hear(sessionId="a key", reason="user")
    scene.system.listen()


# What a check says, the check, and a violation of it.
BROKEN: list[tuple[str, Check, Callable[[Scene], object]]] = [
    ("is an event that was not sent", checks.rows, lambda scene: scene.sql(task("event", "-1 minute"))),
    ("is open and has no schedule", checks.schedules, lambda scene: scene.sql(LIVE)),
    ("for another end than its session has", checks.schedules, lambda scene: scene.schedule(scene.sql(LIVE), 2)),
    ("of a session that has ended", checks.schedules, lambda scene: scene.schedule(scene.sql(ENDED), 2)),
    ("is a schedule whose time is over", checks.schedules, lambda scene: scene.schedule("of-nothing", -1)),
    ("is in R2, and no row knows of it", checks.objects, lambda scene: scene.put("r2_bucket")),
    (
        "is in the upload bucket, and no row knows",
        checks.objects,
        lambda scene: scene.put("upload_bucket"),
    ),
    (
        "is shown, and not in R2",
        checks.objects,
        lambda scene: scene.sql(PROFILE + "UPDATE after_hours_profiles SET photo_url = 'a/b.jpg' WHERE true"),
    ),
    ("SessionStarted of a key was never announced", checks.announced, lambda scene: scene.sql(note("started"))),
    ("was announced and did not happen", checks.announced, lambda scene: scene.hear(sessionId="a key")),
    ("its end was announced for another reason", checks.reasons, end_for_another_reason),
    (
        "was sent again while another was sending it",
        checks.leases_of_events,
        lambda scene: scene.system.proxy.sightings.extend([Sighting("e", 100), Sighting("e", 101)]),
    ),
    (
        "was started, and nothing of it is there",
        checks.answers,
        lambda scene: scene.journal.write("started", "m", "a key", Outcome.DONE),
    ),
    ("started 1 times, though", checks.answers, lambda scene: scene.sql(note("started"))),
    ("A sweep took longer", checks.sweeps, lambda scene: setattr(scene.system, "longest_sweep_seconds", 46)),
    ("The log of PostgreSQL holds a text", checks.logs, lambda scene: scene.log(TEXT)),
    ("The log of PostgreSQL holds a place", checks.logs, lambda scene: scene.log("-41.5")),
    ("The log of PostgreSQL holds secret", checks.logs, lambda scene: scene.log("x" * 24)),
]


@pytest.fixture
def scene(cursor: Cursor, deployed: dict[str, str], tmp_path: Path) -> Iterator[Scene]:
    def run(statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []

    access = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    own = f"soak-{uuid4()}"
    parts: Any = {
        "stack": SimpleNamespace(
            aws=access | {"endpoint_url": deployed["AWS_ENDPOINT_URL"]}, functions={},
            schedule_group=own, r2_bucket=f"{own}-r2", upload_bucket=f"{own}-uploads",
        ),
        "database": SimpleNamespace(run=run), "proxy": SimpleNamespace(sightings=[]), "server": None, "workers": None,
    }  # fmt: skip
    system = System(workspace=Workspace(tmp_path), clock=Clock(), **parts)
    system.workspace.logs.mkdir(parents=True)
    (system.workspace.logs / "postgresql.log").touch()
    queue = system.client("sqs").create_queue(QueueName="soak")["QueueUrl"]
    system.client("secretsmanager").create_secret(Name=own, SecretString=json.dumps({"key": "x" * 24}))
    system.client("scheduler").create_schedule_group(Name=own)
    for bucket in (system.stack.r2_bucket, system.stack.upload_bucket):
        system.client("s3").create_bucket(Bucket=bucket)
    yield Scene(system, Journal())
    system.client("sqs").delete_queue(QueueUrl=queue)


def test_every_check_has_a_violation() -> None:
    assert {check for _, check, _ in BROKEN} == {*rounds.AT_REST, *rounds.ONCE}


@pytest.mark.parametrize(("says", "check", "plant"), BROKEN, ids=[says for says, *_ in BROKEN])
def test_a_planted_violation_of_a_check_is_found(
    scene: Scene, says: str, check: Check, plant: Callable[[Scene], object]
) -> None:
    assert check(scene.system, scene.journal) == []
    plant(scene)
    [violation, *_] = check(scene.system, scene.journal)
    assert says in violation
