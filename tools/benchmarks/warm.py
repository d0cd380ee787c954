"""A warm endpoint against an Express app that does the same work, measured in turns on the same database."""

import gc
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import urllib3
from after_hours.entrypoints import access
from after_hours.foundation.observability import logger

from tools.benchmarks import fake_aws
from tools.benchmarks.measuring import table
from tools.local import members, population, postgres
from tools.local.handlers import Context, load
from tools.local.migrated import database
from tools.local.progress import Progress
from tools.local.samples import samples
from tools.local.workspace import NODE_FOLDER

_MEMBERS = 200  # each sends one request in a round
_TOKENS = [members.token(f"member-{number}", fake_aws.JWT_SECRET) for number in range(1, _MEMBERS + 1)]
_WARM_UP = 3  # rounds
_ROUNDS, _ROUNDS_OF_A_QUICK_RUN = 15, 5


def measure(progress: Progress, *, quick: bool) -> str:
    with (
        database() as server,
        closing(server.connect()) as connection,
        fake_aws.environment(server) as environment,
        patch.dict(os.environ, environment),
        _express(server) as express,
    ):
        population.join(connection, _MEMBERS)
        population.go_live(connection, _MEMBERS)
        population.analyze(connection)
        ours = _ours()
        taken = []
        for number in range(_WARM_UP + (_ROUNDS_OF_A_QUICK_RUN if quick else _ROUNDS)):
            taken.append((ours(), express("/session"), express("/nothing")))
            progress(f"round {number + 1}")
    sides = list(zip(*taken[_WARM_UP:], strict=True))
    own, theirs, nothing = map(statistics.median, sides)
    row = [f"{statistics.median(spent):.2f} ({min(spent):.2f})" for spent in sides]
    row += [f"{own / theirs:.2f}", f"{own / (theirs - nothing):.2f}"]
    return table(
        "| ours | Express | Express without work | ratio | ratio, without Express's HTTP", [["GET /session", *row]]
    )


def _ours() -> Callable[[], float]:
    """Serve a round in this process. Returns the CPU milliseconds of a request, as Express does."""
    quiet = Path(os.devnull).open("w")  # noqa: SIM115 (until the process ends)
    logger.registered_handler.stream = quiet  # type: ignore[attr-defined]
    handler, context = load("get_session").handler, Context("get_session")
    gc.freeze()  # a function has nothing of what this process loaded to measure it

    def serve() -> float:
        events = [samples()["get_session"]["valid"].event(token) for token in _TOKENS]
        began = time.process_time()
        with redirect_stdout(quiet):  # metrics
            statuses = {handler(event, context)["statusCode"] for event in events}
        spent = time.process_time() - began
        _expect_success(statuses)
        return spent / len(events) * 1000

    return serve


@contextmanager
def _express(server: postgres.Database) -> Iterator[Callable[[str], float]]:
    setup = {
        "connection": {
            "host": server.host, "port": server.port, "user": server.username, "password": server.password,
            "database": server.dbname,
        },
        "secret": fake_aws.JWT_SECRET,
        "entitlements": access._ENTITLEMENTS.replace("%(user_id)s", "$1"),  # noqa: SLF001
    }  # fmt: skip
    with subprocess.Popen(
        [NODE_FOLDER / "node", Path(__file__).with_name("express.mjs")],
        env={"SETUP": json.dumps(setup), "NODE_ENV": "production", "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        connection = urllib3.HTTPConnectionPool("127.0.0.1", int(next(iter(process.stdout or ""))))

        def cpu() -> float:
            usage = connection.request("GET", "/cpu").json()
            return float(usage["user"] + usage["system"]) / 1000

        def serve(path: str) -> float:
            before, statuses = cpu(), set()
            for token in _TOKENS:
                answer = connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
                statuses.add(answer.status)
            _expect_success(statuses)
            return (cpu() - before) / len(_TOKENS)

        try:
            yield serve
        finally:
            process.terminate()


def _expect_success(statuses: set[int]) -> None:
    if statuses != {200}:
        raise RuntimeError(f"the answers were {statuses}")
