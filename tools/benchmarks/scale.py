"""How many sweeps a bad night takes: many things of one kind are due at once, until all of them are done."""

import json
import subprocess
from contextlib import closing
from itertools import product

from tools.benchmarks.measuring import script, table
from tools.local import population
from tools.local.migrated import database
from tools.local.progress import Progress

_DUE = (100, 1_000, 10_000, 100_000)
_DUE_IN_A_QUICK_RUN = (100, 1_000)
_SLEEPS_UP_TO = 10_000  # with more, calls to AWS move a clock instead of sleeping (sweeps.py)

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
    nights: list[list[object]] = []
    with database() as server, closing(server.connect()) as connection:
        # The statistics of a table that was used before: PostgreSQL keeps them when its rows are gone.
        with connection, connection.cursor() as cursor:
            cursor.execute(population.WAITING, {"number": 1_000})
        population.analyze(connection)
        for night, number in product(_NIGHTS, _DUE_IN_A_QUICK_RUN if quick else _DUE):
            progress(f"{night}: {number:,}")
            with connection, connection.cursor() as cursor:
                cursor.execute(_EMPTY)
            population.join(connection, number)
            population.go_live(connection, number)
            with connection, connection.cursor() as cursor:
                cursor.execute(_NIGHTS[night])
            population.analyze(connection)
            command = script("sweeps.py", json.dumps(server.secret), "moved" if number > _SLEEPS_UP_TO else "real")
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            nights.append([night, f"{number:,}", *json.loads(done.stdout.splitlines()[-1])])
    return table(_COLUMNS, nights)
