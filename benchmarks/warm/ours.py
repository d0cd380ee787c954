"""Our side, a process of its own: serves the events that it reads, and writes what that took.

A line of stdin is the function's name and a list of events, a line of stdout CPU seconds, seconds, and the statuses.
"""

import json
import os
import sys
import time
from pathlib import Path

from after_hours.observability import logger

from benchmarks.scale import far_side
from benchmarks.scale.functions import Context, load


def main() -> None:
    far_side.install(far_side.Scheduler(lambda: None, are_there=False), far_side.Bus(lambda: None))
    answers, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115 (until the process ends)
    logger.registered_handler.stream = sys.stdout  # type: ignore[attr-defined]
    handlers = {name: load(name)["handler"] for name in ("get_session", "start_session")}
    for line in sys.stdin:
        function, events = json.loads(line)
        context = Context(function)
        cpu, began = time.process_time(), time.perf_counter()
        statuses = [handlers[function](event, context)["statusCode"] for event in events]
        taken = time.process_time() - cpu, time.perf_counter() - began
        print(json.dumps([*taken, sorted(set(statuses))]), file=answers, flush=True)


if __name__ == "__main__":
    main()
