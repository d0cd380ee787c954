"""Our side of the comparison with Express, a process of its own: it serves events, and writes how long that took.

A line of stdin is a function's name and a list of events. A line of stdout is the CPU seconds, and the statuses of the
answers.
"""

import json
import os
import sys
import time
from pathlib import Path

from after_hours.foundation.observability import logger

from tools.benchmarks.fake_services import FakeServices
from tools.local.handlers import Context, load


def main() -> None:
    FakeServices().install()
    answers, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115 (until the process ends)
    logger.registered_handler.stream = sys.stdout  # type: ignore[attr-defined]
    handlers = {name: load(name).handler for name in ("get_session", "start_session")}
    for line in sys.stdin:
        function, events = json.loads(line)
        context, began = Context(function), time.process_time()
        statuses = {handlers[function](event, context)["statusCode"] for event in events}
        print(json.dumps([time.process_time() - began, list(statuses)]), file=answers, flush=True)


if __name__ == "__main__":
    main()
