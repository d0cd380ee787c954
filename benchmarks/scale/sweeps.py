"""Sweeps of one database until nothing is left, in a process as small as the function. Arguments: database, clock.

Bus and scheduler take 20 ms a call. With the clock `moved` a call moves the clock on instead of sleeping, so that a
night of hours is measured in minutes; calls run eight at a time, so each moves it by an eighth.
"""

import json
import os
import re
import resource
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import psycopg2
from after_hours import config, domain_events, schedules

MEMORY_BYTES = 512 * 1024 * 1024
CALL_SECONDS = 0.020
CALLS_AT_A_TIME = 8
MOST_SWEEPS = 60

# As if the minute to the next sweep had passed.
_A_MINUTE_LATER = """
    UPDATE after_hours_domain_events SET due_at = due_at - interval '1 minute';
    UPDATE after_hours_sessions SET schedule_due_at = schedule_due_at - interval '1 minute'
    WHERE scheduled_for IS DISTINCT FROM CASE WHEN ended_at IS NULL THEN expires_at END
"""


class Context:
    function_name = "sweep"
    memory_limit_in_mb = 512
    invoked_function_arn = aws_request_id = "benchmark"


def main() -> None:
    secret, clock = json.loads(sys.argv[1]), sys.argv[2]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    os.environ |= dict.fromkeys(map(str.upper, config.Settings.model_fields), "benchmark")
    config.database_secret.read = lambda **_: config.DatabaseSecret.model_validate(secret)  # type: ignore[method-assign]
    take_a_moment = _moved_clock() if clock == "moved" else lambda: time.sleep(CALL_SECONDS)
    published: list[str] = []
    _stub(take_a_moment, published)
    connection = psycopg2.connect(
        **{name: value for name, value in secret.items() if name != "username"}, user=secret["username"]
    )
    connection.autocommit = True
    sweeps: list[dict[str, Any]] = []
    handler = runpy.run_path(str(Path(__file__).parents[2] / "functions" / "sweep" / "handler.py"))["handler"]
    while len(sweeps) < MOST_SWEEPS:
        began, before = time.monotonic(), len(published)
        outcome = handler({}, Context())
        sweeps.append(
            {
                "seconds": round(time.monotonic() - began, 2),
                "published": len(published) - before,
                "outcome": {what: number for what, number in outcome.items() if number},
            }
        )
        with connection.cursor() as cursor:
            cursor.execute(_A_MINUTE_LATER)
        print(json.dumps(sweeps[-1]), file=sys.stderr, flush=True)
        if not sweeps[-1]["outcome"]:
            break
    # Not getrusage's maximum, which begins with that of the process that started this one.
    [peak_kb] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(
        json.dumps(
            {
                "sweeps": sweeps,
                "peakMb": round(int(peak_kb) / 1024),
                "published": len(published),
                "once": len(set(published)),
            }
        )
    )


def _moved_clock() -> Callable[[], None]:
    real, moved, lock = time.monotonic, [0.0], Lock()
    time.monotonic = lambda: real() + moved[0]

    def call() -> None:
        with lock:
            moved[0] += CALL_SECONDS / CALLS_AT_A_TIME

    return call


def _stub(take_a_moment: Callable[[], None], published: list[str]) -> None:
    class Bus:
        def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 (AWS's word)
            take_a_moment()
            published.extend(json.loads(entry["Detail"])["eventId"] for entry in Entries)
            return {"Entries": [{"EventId": "1"}] * len(Entries)}

    domain_events._client = Bus  # type: ignore[assignment]  # noqa: SLF001
    schedules._carry_out = lambda *_, **__: take_a_moment()  # noqa: SLF001


if __name__ == "__main__":
    main()
