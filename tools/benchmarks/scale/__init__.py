"""How many sweeps a bad night takes: many things of one kind are due at once, until all of them are done."""

import json
import subprocess
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tools.benchmarks.measuring import script, table
from tools.local import population, postgres
from tools.local.migrated import database
from tools.local.progress import Progress

_DUE = (100, 1_000, 10_000, 100_000)
_DUE_IN_A_QUICK_RUN = (100, 1_000)
_SLEEPS_UP_TO = 10_000  # with more, calls to AWS move a clock instead of sleeping (scale/sweeps.py)

_EMPTY = "TRUNCATE users, after_hours_outbox, after_hours_departures CASCADE"
_NIGHTS = {
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
    "objects to delete": (
        "UPDATE after_hours_sessions SET warned_for = expires_at;"
        " SELECT after_hours_put_deletions(array_agg('r2' || ''), array_agg('after-hours-photos/' || id), interval '0')"
        " FROM after_hours_sessions"
    ),
    "all at once": (
        "UPDATE after_hours_sessions SET expires_at = now() - interval '1 minute', scheduled_for = NULL;"
        " SELECT after_hours_put_event('SessionEnded', '{}', interval '0') FROM after_hours_sessions;"
        " SELECT after_hours_put_deletions(array_agg('uploads' || ''), array_agg('uploads/' || id), interval '0')"
        " FROM after_hours_sessions"
    ),
    "live, nothing to do": "UPDATE after_hours_sessions SET warned_for = NULL",
}
_COLUMNS = "night | due | sweeps | done by the first | longest, s | peak memory, MB | calls outside | published | twice"


def measure(progress: Progress, *, quick: bool) -> str:
    with database() as server:
        connection = server.connect()
        nights = list(_nights(server, connection, _DUE_IN_A_QUICK_RUN if quick else _DUE, progress))
        connection.close()
    return table(_COLUMNS, nights)


def _nights(
    server: postgres.Database, connection: Connection, numbers: tuple[int, ...], progress: Progress
) -> Iterator[list[object]]:
    """Yield the row of each night and number."""
    for night, prepare in _NIGHTS.items():
        for number in numbers:
            progress(f"{night}: {number:,}")
            with connection, connection.cursor() as cursor:
                cursor.execute(_EMPTY)
            population.join(connection, number)
            population.go_live(connection, number)
            with connection, connection.cursor() as cursor:
                cursor.execute(prepare)
            population.analyze(connection)
            yield [night, f"{number:,}", *_swept(server, "moved" if number > _SLEEPS_UP_TO else "real")]


def _swept(server: postgres.Database, clock: str) -> list[object]:
    """Sweep in a process of its own, and return the rest of the row."""
    with TemporaryFile(mode="w+") as output:
        command = script("scale/sweeps.py", json.dumps(server.secret), clock)
        if code := subprocess.run(command, stdout=output, check=False).returncode:
            return [f"died ({code})", *[""] * 6]
        output.seek(0)
        result: dict[str, Any] = json.loads(output.readlines()[-1])
    sweeps = result["sweeps"]
    undone = ", ".join(f"{number:,} {what}" for what, number in result["undone"].items())
    return [
        f"{len(sweeps)} (given up with {undone} undone)" if undone else len(sweeps),
        ", ".join(f"{what} {number:,}" for what, number in sweeps[0]["outcome"].items()) or "nothing",
        max(sweep["seconds"] for sweep in sweeps),
        result["peakMb"],
        f"{sum(sweep['calls'] for sweep in sweeps):,}",
        f"{result['published']:,}",
        result["published"] - result["once"],
    ]
