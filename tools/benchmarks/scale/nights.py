"""Bad nights: many things of one kind are due at once, and sweeps run until all of them are done."""

import json
import subprocess
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tools.benchmarks.measuring import script
from tools.local import population, postgres
from tools.local.population import Members

NUMBERS = (100, 1_000, 10_000, 100_000)
_SLEEPS_UP_TO = 10_000  # with more, calls to AWS move a clock instead of sleeping (benchmarks.scale.sweeps)

EMPTY = "TRUNCATE users, after_hours_outbox, after_hours_departures CASCADE"

NIGHTS = {
    "sessions due": "UPDATE after_hours_sessions SET expires_at = now() - interval '1 minute', scheduled_for = NULL",
    "warnings due": (
        "UPDATE after_hours_sessions SET expires_at = now() + interval '4 minutes 50 seconds',"
        " scheduled_for = now() + interval '4 minutes 50 seconds'"
    ),
    "members lapsed": "UPDATE users SET after_hours_consent = false",
    "schedules missing": (
        "UPDATE after_hours_sessions SET scheduled_for = NULL;"
        " UPDATE after_hours_outbox SET due_at = now() WHERE kind = 'schedules'"
    ),
    "events unsent": (
        "UPDATE after_hours_sessions SET warned_for = expires_at;"
        " SELECT after_hours_put_event('SessionEnded', '{}', interval '0') FROM after_hours_sessions"
    ),
    "live, nothing to do": "UPDATE after_hours_sessions SET warned_for = NULL",
}


def measure(database: postgres.Database, connection: Connection, numbers: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Yield for each night and number: the sweeps, the peak memory, and how often each event was published."""
    for night, prepare in NIGHTS.items():
        for number in numbers:
            with connection, connection.cursor() as cursor:
                cursor.execute(EMPTY)
            population.join(connection, Members(1, number))
            population.go_live(connection, Members(1, number))
            with connection, connection.cursor() as cursor:
                cursor.execute(prepare)
            population.analyze(connection)
            clock = "moved" if number > _SLEEPS_UP_TO else "real"
            schedules = "missing" if night == "schedules missing" else "there"
            yield {"night": night, "number": number, **_sweeps(database, clock, schedules)}


def _sweeps(database: postgres.Database, clock: str, schedules: str) -> dict[str, Any]:
    arguments = [json.dumps(database.secret), clock, schedules]
    last = ""
    with (
        TemporaryFile(mode="w+") as output,
        subprocess.Popen(
            script("scale/sweeps.py", *arguments),
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        for line in process.stderr or ():
            last = line.strip()
            print(f"         {last}", flush=True)
        if process.wait():
            return {"died": last or process.returncode}
        output.seek(0)
        result: dict[str, Any] = json.loads(output.readlines()[-1])
    return result
