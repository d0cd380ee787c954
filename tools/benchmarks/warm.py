"""Warm endpoints against an Express app that does the same work, measured in turns on the same database."""

import gc
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import urllib3
from after_hours.entrypoints import access
from after_hours.foundation.observability import logger
from after_hours.members import sessions
from after_hours.outbox import relay
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tools.benchmarks import fake_aws
from tools.benchmarks.fake_services import FakeServices
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


class Endpoint(NamedTuple):
    function: str
    method: str
    path: str
    status: int


_ENDPOINTS = (
    Endpoint("get_session", "GET", "/session", 200),
    Endpoint("start_session", "POST", "/session/start", 201),
)
_NOTHING = Endpoint("get_session", "GET", "/nothing", 200)

type Round = Callable[[Endpoint], float]  # returns the CPU milliseconds of a request


def measure(progress: Progress, *, quick: bool) -> str:
    rounds = _WARM_UP + (_ROUNDS_OF_A_QUICK_RUN if quick else _ROUNDS)
    rows = []
    with (
        database() as server,
        closing(server.connect()) as connection,
        fake_aws.environment(server) as environment,
        patch.dict(os.environ, environment),
        _express(server) as express,
    ):
        ours = _ours()
        population.join(connection, _MEMBERS)
        population.analyze(connection)
        for endpoint in _ENDPOINTS:
            taken: list[tuple[float, ...]] = []
            for _ in range(rounds):
                _prepare(connection, endpoint)
                spent = ours(endpoint)
                _prepare(connection, endpoint)
                taken.append((spent, express(endpoint), express(_NOTHING)))
            rows.append(_row(endpoint, *zip(*taken[_WARM_UP:], strict=True)))
            progress(" ".join(rows[-1]))
    return table("| ours | Express | Express without work | ratio | ratio, without Express's HTTP", rows)


def _row(endpoint: Endpoint, *sides: tuple[float, ...]) -> list[str]:
    ours, express, nothing = map(statistics.median, sides)
    measured = [f"{statistics.median(spent):.2f} ({min(spent):.2f})" for spent in sides]
    return [
        f"{endpoint.method} {endpoint.path}",
        *measured,
        f"{ours / express:.2f}",
        f"{ours / (express - nothing):.2f}",
    ]


def _prepare(connection: Connection, endpoint: Endpoint) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE after_hours_sessions, device_fingerprints, after_hours_outbox CASCADE")
    if endpoint.method == "GET":
        population.go_live(connection, _MEMBERS)


def _ours() -> Round:
    """Serve in this process, with AWS replaced in it."""
    FakeServices().install()
    quiet = Path(os.devnull).open("w")  # noqa: SIM115 (until the process ends)
    logger.registered_handler.stream = quiet  # type: ignore[attr-defined]
    handlers = {endpoint.function: load(endpoint.function).handler for endpoint in _ENDPOINTS}
    gc.freeze()  # a function has nothing of what this process loaded to measure it

    def serve(endpoint: Endpoint) -> float:
        events = [samples()[endpoint.function]["valid"].event(token) for token in _TOKENS]
        handler, context = handlers[endpoint.function], Context(endpoint.function)
        began = time.process_time()
        with redirect_stdout(quiet):  # metrics
            statuses = {handler(event, context)["statusCode"] for event in events}
        spent = time.process_time() - began
        _expect(endpoint, statuses)
        return spent / len(events) * 1000

    return serve


@contextmanager
def _express(server: postgres.Database) -> Iterator[Round]:
    setup = {
        "connection": {
            "host": "127.0.0.1", "port": server.port, "user": server.secret["username"],
            "password": server.secret["password"], "database": server.dbname,
        },
        "secret": fake_aws.JWT_SECRET, "locationKey": fake_aws.LOCATION_KEY,
        "entitlements": access._ENTITLEMENTS, "start": sessions._START, "settle": relay._SETTLE,  # noqa: SLF001
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

        def serve(endpoint: Endpoint) -> float:
            body = samples()[endpoint.function]["valid"].event("").get("body")
            headers = {"content-type": "application/json"}
            before, statuses = cpu(), set()
            for token in _TOKENS:
                sent = headers | {"authorization": f"Bearer {token}"}
                statuses.add(connection.request(endpoint.method, endpoint.path, body=body, headers=sent).status)
            _expect(endpoint, statuses)
            return (cpu() - before) / len(_TOKENS)

        try:
            yield serve
        finally:
            process.terminate()


def _expect(endpoint: Endpoint, statuses: set[int]) -> None:
    if statuses != {endpoint.status}:
        raise RuntimeError(f"{endpoint.method} {endpoint.path} answered {statuses}")
