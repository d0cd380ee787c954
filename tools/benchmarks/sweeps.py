"""Sweeps of one database until all work is done, in a process with as much memory as the function has.

Prints the rest of the night's row (tools/benchmarks/scale.py). Arguments: the database's secret; the clock, `real` or
`moved`. A call to a service takes 20 ms. With the clock `moved`, a call moves the clock on instead of sleeping, so that
a night of hours is measured in minutes. Calls run eight at a time, so each moves the clock by an eighth of 20 ms.
"""

import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import get_args

from after_hours.foundation import database, secrets, settings
from after_hours.sweep import backlog

from tools.benchmarks.fake_services import FakeServices
from tools.local.handlers import Context, load

MEMORY_BYTES = 512 * 1024 * 1024
CALL_SECONDS = 0.020
CALLS_AT_A_TIME = 8
MOST_SWEEPS = 150  # twice what the longest night, 200,000 calls to the scheduler, took on a busy machine

# The next sweep is a minute later.
_A_MINUTE_LATER = """
    UPDATE after_hours_outbox SET due_at = due_at - interval '1 minute'
"""


def main() -> None:
    secret, clock = json.loads(sys.argv[1]), sys.argv[2]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    os.environ |= dict.fromkeys(get_args(settings.Setting.__value__), "benchmark")
    secrets.database_secret.read = lambda **_: secrets.DatabaseSecret.model_validate(secret)  # type: ignore[method-assign]
    services = FakeServices(_moved_clock() if clock == "moved" else lambda: time.sleep(CALL_SECONDS))
    services.install()
    handler = load("sweep").handler
    seconds: list[float] = []
    outcomes: list[dict[str, int]] = []
    remains = ""
    while len(outcomes) < MOST_SWEEPS and (not outcomes or outcomes[-1]):
        began = time.monotonic()
        did: dict[str, int] = handler({}, Context("sweep"))
        seconds.append(round(time.monotonic() - began, 2))
        outcomes.append({what: number for what, number in did.items() if number and what != "left"})
        database.shared().execute(_A_MINUTE_LATER)
        remains = _listed(backlog.report(database.shared()))
        print(f"  sweep {len(outcomes)}: {seconds[-1]} s; undone: {remains or 'nothing'}", file=sys.stderr, flush=True)
    # Not getrusage's maximum, which begins with that of the process that started this one.
    [peak_kb] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    row = [
        f"{len(outcomes)} (given up with {remains} undone)" if remains else len(outcomes),
        _listed(outcomes[0]) or "nothing",
        max(seconds),
        round(int(peak_kb) / 1024),
        f"{services.calls():,}",
        f"{len(services.published):,}",
        len(services.published) - len(set(services.published)),
    ]
    print(json.dumps(row))


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{what} {number:,}" for what, number in numbers.items())


def _moved_clock() -> Callable[[], None]:
    real, moved, lock = time.monotonic, [0.0], Lock()
    time.monotonic = lambda: real() + moved[0]

    def call() -> None:
        with lock:
            moved[0] += CALL_SECONDS / CALLS_AT_A_TIME

    return call


if __name__ == "__main__":
    main()
