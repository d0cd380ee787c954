"""The world around the functions: time passes, AWS is down, schedules fire, and there are rows to look at."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from after_hours.foundation import clients, secrets
from after_hours.foundation.database import Database
from after_hours.members.sessions import Session
from after_hours.outbox import schedules
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)
from types_boto3_s3 import S3Client
from types_boto3_scheduler import EventBridgeSchedulerClient

from tests.support.environment import R2_BUCKET, SETTINGS, UNREACHABLE, UPLOAD_BUCKET
from tests.support.handlers import invoke
from tools.local import members, postgres, states
from tools.local.samples import Given

SCHEDULE_GROUP = SETTINGS["SCHEDULE_GROUP"]

# Triggers would take the earlier ends for changes.
_TIME_PASSES = """
    SET LOCAL session_replication_role = replica;
    UPDATE after_hours_sessions SET
        started_at = started_at - %(by)s, expires_at = expires_at - %(by)s, ended_at = ended_at - %(by)s,
        warned_for = warned_for - %(by)s, last_referenced_at = last_referenced_at - %(by)s;
    UPDATE device_fingerprints SET created_at = created_at - %(by)s;
    UPDATE after_hours_photo_uploads SET
        requested_at = requested_at - %(by)s, changed_at = changed_at - %(by)s,
        leased_until = leased_until - %(by)s, forget_at = forget_at - %(by)s;
    UPDATE after_hours_outbox SET due_at = due_at - %(by)s;
    UPDATE after_hours_outbox SET payload = payload || jsonb_build_object(
        'expiresAt', after_hours_utc((payload ->> 'expiresAt')::timestamptz - %(by)s)
    ) WHERE kind = 'schedules';
    UPDATE after_hours_departures SET forget_at = forget_at - %(by)s
"""
# So many members of another kind, `many-1` and on, each live for so long.
MEMBERS = """
    INSERT INTO users (id, provider, id_verified, after_hours_consent)
    SELECT 'many-' || n, 'google', true, true FROM generate_series(1, %s) n;
    INSERT INTO user_subscriptions (user_id, is_active) SELECT id, true FROM users WHERE id LIKE 'many-%%';
    INSERT INTO after_hours_profiles (user_id) SELECT id FROM users WHERE id LIKE 'many-%%';
    INSERT INTO after_hours_sessions (user_id, started_at, expires_at, fuzzed_latitude, fuzzed_longitude)
    SELECT id, now() - interval '1 hour', now() + %s::interval, 52.5, 13.4 FROM users WHERE id LIKE 'many-%%'
"""


def soon() -> float:
    """A deadline for what should take a moment."""
    return time.monotonic() + 20


@dataclass(frozen=True)
class World:
    """A migrated database with the five members of `tools/local/members.py` in it, and moto's AWS.

    `database` is what the functions see of it; `own_connection` is its owner's.
    """

    database: postgres.Database
    own_connection: Connection
    s3: S3Client
    scheduler: EventBridgeSchedulerClient

    def begin_anew(self) -> None:
        """Empty our tables, and put the members back as they are given."""
        # Not TRUNCATE: it makes new files for each table and index, and takes a hundred times as long for so few rows.
        # What follows the end of an account comes behind it.
        self.rows("DELETE FROM users; DELETE FROM after_hours_outbox; DELETE FROM after_hours_departures")
        members.save(self.own_connection, *members.SEEDED.values())

    def prepare(self, given: Iterable[Given], user_id: str = "local-entitled") -> None:
        """Bring about the state that a sample event needs."""
        states.prepare(given, user_id, rows=self.rows, s3=self.s3, bucket=UPLOAD_BUCKET)

    def rows(self, statement: str, *parameters: object, **named: object) -> list[tuple[Any, ...]]:
        """Send a statement past the functions, and read what it returns."""
        with self.own_connection.cursor() as cursor:
            cursor.execute(statement, named or parameters)
            return cursor.fetchall() if cursor.description is not None else []  # a SELECT FROM has no columns, and rows

    def counts(self, *tables: str) -> list[int]:
        return [self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]

    # Time

    def pass_time(self, **duration: float) -> None:
        """Make everything so much older, as `pass_time(minutes=31)`: the database's clock itself cannot be set."""
        self.rows(_TIME_PASSES, by=timedelta(**duration))

    def leases_run_out(self) -> None:
        """Let the leases end of tasks that functions have not done."""
        self.rows("UPDATE after_hours_outbox SET due_at = now() WHERE due_at < now() + interval '11 minutes'")

    # What runs without being asked

    def run(self, function: str, event: Any = None) -> Any:
        return invoke(function, event or {})

    def sweep(self) -> dict[str, Any]:
        """What the sweep returns: how much it did of each duty."""
        did: dict[str, Any] = self.run("sweep")
        return did

    def fire(self, kind: str, session_id: UUID | str) -> str:
        """Send what a schedule sends when it fires: an "expiry" or a "warning". What expire_session made of it."""
        outcome: str = self.run("expire_session", {"kind": kind, "sessionId": str(session_id)})["outcome"]
        return outcome

    def announce(self, key: str, size: int = 1000) -> str:
        """Have S3 tell process_photo of an object in the upload bucket. What process_photo made of it."""
        described = {"bucket": {"name": UPLOAD_BUCKET}, "object": {"key": quote(key), "size": size}}
        [outcome] = self.run("process_photo", {"Records": [{"s3": described}]})["outcomes"]
        assert isinstance(outcome, str)
        return outcome

    def arrive(self, photo_id: UUID, size: int = 1000) -> str:
        """Have S3 tell process_photo of the file that the entitled member sent. What process_photo made of it."""
        return self.announce(original_of(photo_id), size)

    # What is at AWS

    def schedules(self) -> dict[str, str]:
        """Name → expression of all schedules there are now."""
        pages = self.scheduler.get_paginator("list_schedules").paginate(GroupName=SCHEDULE_GROUP)
        names = [item["Name"] for page in pages for item in page["Schedules"]]
        return {
            name: self.scheduler.get_schedule(Name=name, GroupName=SCHEDULE_GROUP)["ScheduleExpression"]
            for name in names
        }

    def delete_schedule(self, name: str) -> None:
        self.scheduler.delete_schedule(Name=name, GroupName=SCHEDULE_GROUP)

    def originals(self) -> set[str]:
        """The keys in the upload bucket."""
        return self._keys(UPLOAD_BUCKET)

    def photos(self) -> set[str]:
        """The keys in the bucket that stands for R2."""
        return self._keys(R2_BUCKET)

    def _keys(self, bucket: str) -> set[str]:
        return {item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ())}

    def put_original(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=content, ContentType="image/jpeg")

    def put_photo(self, key: str, content: bytes = b"jpeg") -> None:
        self.s3.put_object(Bucket=R2_BUCKET, Key=key, Body=content)

    # Faults

    @contextmanager
    def down(self, *services: str) -> Iterator[None]:
        """Refuse connections to services of AWS, named as in AWS_ENDPOINT_URL_…: "SCHEDULER"."""
        with pytest.MonkeyPatch.context() as patch:
            for service in services:
                patch.setenv(f"AWS_ENDPOINT_URL_{service}", UNREACHABLE)
            clients.start_anew()
            yield
        clients.start_anew()
        schedules.breaker.close()
        secrets.breaker.close()

    # Races

    @contextmanager
    def connection(self) -> Iterator[Database]:
        """A connection such as a function has, beside those of other functions."""
        secret = secrets.DatabaseSecret.model_validate(self.database.secret)
        with closing(Database(lambda **_: secret)) as connection:
            yield connection

    def at_once[T](self, *actions: Callable[[Database], T]) -> list[T]:
        """Do several things at the same time, each in a thread and with a connection of its own."""

        def run(action: Callable[[Database], T]) -> T:
            with self.connection() as connection:
                return action(connection)

        with ThreadPoolExecutor(len(actions)) as pool:
            return list(pool.map(run, actions))


def original_of(photo_id: UUID, user_id: str = "local-entitled") -> str:
    """The key of the file that a phone sends."""
    return f"uploads/{user_id}/{photo_id}"


def keys_of(photo_id: UUID, user_id: str = "local-entitled") -> set[str]:
    """The keys of a finished photo and of its thumbnail."""
    return {f"after-hours-photos/{user_id}/{photo_id}{end}" for end in (".jpg", "_thumb.jpg")}


def schedules_of(session: Session) -> dict[str, str]:
    """Name → expression of the schedules that a session should have: the first whole second that is not early."""
    end = session.expires_at
    end = end.replace(microsecond=0) + timedelta(seconds=end.microsecond > 0)
    return {
        f"expire-{session.id}": f"at({end:%Y-%m-%dT%H:%M:%S})",
        f"warn-{session.id}": f"at({end - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S})",
    }
