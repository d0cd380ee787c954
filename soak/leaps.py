"""Time passes: every time in the database moves back, and every schedule comes nearer.

Schedules that were leapt over come as they may: once, twice, late, in any order, or never.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from threading import Lock

from botocore.exceptions import ClientError

from soak.system import System

_COLUMNS = """
    SELECT attrelid::regclass::text, array_agg(quote_ident(attname)) FROM pg_attribute JOIN pg_class ON oid = attrelid
    WHERE relkind = 'r' AND atttypid = 'timestamptz'::regtype AND NOT attisdropped AND (
        relname LIKE 'after\\_hours\\_%' AND relnamespace = current_schema()::regnamespace
        OR attrelid IN ('device_fingerprints'::regclass, 'soak.changes'::regclass)
    )
    GROUP BY attrelid ORDER BY attrelid::regclass::text
"""
# Copies of a schedule that its time was leapt over: EventBridge Scheduler promises at least one, and the product none.
_COPIES = (0, 1, 1, 2)
_AT = re.compile(r"at\((.*)\)")
_SCHEDULE = ("GroupName", "Name", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "ActionAfterCompletion", "Target")


class Leaps:
    """Makes time leap, and delivers the schedules that it leaps over."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._numbers = count()
        self._late: list[str] = []
        self._lock = Lock()
        self.delivered = self.lost = 0

    def leap(self, distance: timedelta, random: Random) -> None:
        """Let so much time pass at once. What is late from the leap before comes now."""
        with self._lock:
            due, self._late = self._late, []
            with self._system.gate.closed():
                self._age_rows(distance)
                self._system.clock.leapt += distance.total_seconds()
                due += self._move_schedules(distance, random)
            random.shuffle(due)
            half = len(due) // 2 if distance < timedelta(hours=1) else 0
            self._late += due[:half]
            self._deliver(due[half:])

    def deliver_early(self, random: Random, most: int = 6) -> int:
        """Deliver some schedules of sessions long before their time, which stay scheduled; how many."""
        names = sorted(self._system.schedules())
        events = [self._event(name) for name in random.sample(names, min(most, len(names)))]
        self._deliver([event for event in events if event])
        return len(events)

    def _age_rows(self, distance: timedelta) -> None:
        number = next(self._numbers)
        ages = ";\n".join(
            f"UPDATE {table} SET " + ", ".join(f"{column} = {column} - %(by)s" for column in columns)
            for table, columns in self._system.database.run(_COLUMNS)
        )
        # As a replica: the product's triggers, the audit's and the look at references see no change in this.
        self._system.database.run(
            f"""
            DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM soak.leaps WHERE number = {number}) THEN
                    SET LOCAL session_replication_role = replica;
                    INSERT INTO soak.leaps VALUES ({number});
                    {ages.replace("%(by)s", f"interval '{distance.total_seconds()} seconds'")};
                END IF;
            END $$
            """
        )

    def _event(self, name: str) -> str | None:
        client = self._system.client("scheduler")
        with suppress(ClientError):  # it has fired meanwhile
            schedule = client.get_schedule(GroupName=self._system.stack.schedule_group, Name=name)
            return str(schedule["Target"]["Input"])
        return None

    def _move_schedules(self, distance: timedelta, random: Random) -> list[str]:
        """Bring each schedule nearer; the events of those that are due, as often as they come."""
        client, group = self._system.client("scheduler"), self._system.stack.schedule_group
        now, due = datetime.now(UTC), []
        for name in sorted(self._system.schedules()):
            with suppress(ClientError):
                schedule = client.get_schedule(GroupName=group, Name=name)
                at = moment(schedule["ScheduleExpression"]) - distance
                if at > now:
                    same = {part: schedule[part] for part in _SCHEDULE if part in schedule}
                    client.update_schedule(**same, ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})")
                else:
                    client.delete_schedule(GroupName=group, Name=name)
                    copies = random.choice(_COPIES)
                    self.lost += not copies
                    due += [str(schedule["Target"]["Input"])] * copies
        return due

    def _deliver(self, events: list[str]) -> None:
        client, function = self._system.client("lambda"), self._system.stack.functions["expire_session"]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda event: client.invoke(FunctionName=function, Payload=event.encode()), events))
        self.delivered += len(events)


def moment(expression: str) -> datetime:
    """Read `at(2026-11-25T17:00:00)`, in UTC."""
    matched = _AT.fullmatch(expression)
    if matched is None:
        raise ValueError(expression)
    return datetime.fromisoformat(matched[1]).replace(tzinfo=UTC)
