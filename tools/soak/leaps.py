"""Time passes in leaps: every time in the database moves back, and every schedule comes nearer.

Schedules whose time was leapt over are delivered once, twice, late, in any order, or never.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from threading import Lock

from botocore.exceptions import ClientError

from tools.local import schedules
from tools.soak.clock import Clock
from tools.soak.system import System

_COLUMNS = """
    SELECT attrelid::regclass::text, array_agg(quote_ident(attname)) FROM pg_attribute JOIN pg_class ON oid = attrelid
    WHERE relkind = 'r' AND atttypid = 'timestamptz'::regtype AND NOT attisdropped AND (
        relname LIKE 'after\\_hours\\_%' AND relnamespace = current_schema()::regnamespace
        OR attrelid IN ('device_fingerprints'::regclass, 'soak.changes'::regclass)
    )
    GROUP BY attrelid ORDER BY attrelid::regclass::text
"""
# How often a schedule in the leapt time is delivered. EventBridge Scheduler promises at least once; the product must
# not rely on it.
_COPIES = (0, 1, 1, 2)


class Leaps:
    """Makes time leap, and delivers the schedules that it leaps over."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._numbers = count()
        self._late: list[str] = []
        self._lock = Lock()

    def leap(self, distance: timedelta, random: Random) -> None:
        """Let so much time pass at once. Deliveries that the last leap delayed come now."""
        with self._lock:
            due, self._late = self._late, []
            with self._system.clock.held(Clock.CALLS):
                self._age_rows(distance.total_seconds())
                due += self._move_schedules(distance, random)
            random.shuffle(due)
            half = len(due) // 2 if distance < timedelta(hours=1) else 0
            self._late += due[:half]
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda event: self._system.invoke("expire_session", json.loads(event)), due[half:]))

    def _age_rows(self, seconds: float) -> None:
        number, by = next(self._numbers), f"interval '{seconds} seconds'"
        ages = ";\n".join(
            f"UPDATE {table} SET " + ", ".join(f"{column} = {column} - {by}" for column in columns)
            for table, columns in self._system.database.run(_COLUMNS)
        )
        # As a replica, so that no trigger fires: neither the product's, nor the audit's, nor those of foreign keys.
        # A retry of a leap that PostgreSQL did not acknowledge does nothing.
        self._system.database.run(
            f"""
            DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM soak.leaps WHERE number = {number}) THEN
                    SET LOCAL session_replication_role = replica;
                    {ages};
                    UPDATE after_hours_outbox SET payload = payload || jsonb_build_object(
                        'expiresAt', after_hours_utc((payload ->> 'expiresAt')::timestamptz - {by})
                    ) WHERE kind = 'schedules';
                    INSERT INTO soak.leaps VALUES ({number});
                END IF;
            END $$
            """
        )

    def _move_schedules(self, distance: timedelta, random: Random) -> list[str]:
        """Bring each schedule nearer. Return the events of those that are due, each as often as it is delivered."""
        client, group = self._system.clients["scheduler"], self._system.stack.schedule_group
        now, due = datetime.now(UTC), []
        for name in sorted(self._system.schedules()):
            if (schedule := schedules.find(client, group, name)) is None:
                continue
            with suppress(ClientError):  # it has fired by now
                at = schedules.moment(schedule["ScheduleExpression"]) - distance
                if at > now:
                    schedules.move(client, schedule, at)
                else:
                    client.delete_schedule(GroupName=group, Name=name)
                    due += [schedule["Target"]["Input"]] * random.choice(_COPIES)
        return due
