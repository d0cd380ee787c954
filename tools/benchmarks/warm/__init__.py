"""Warm endpoints against an Express app that does the same work, measured in turns on the same database."""

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from after_hours.entrypoints import access
from after_hours.members import sessions
from after_hours.outbox import relay

from tools.benchmarks import fake_aws
from tools.benchmarks.measuring import script, table
from tools.local import members, population, postgres
from tools.local.migrated import database
from tools.local.progress import Progress
from tools.local.samples import samples
from tools.local.workspace import NODE_FOLDER, REPOSITORY

_REQUESTS = 200  # in a round, each by another member
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

type Round = Callable[[Endpoint], float]  # returns the CPU milliseconds of a request


def measure(progress: Progress, *, quick: bool) -> str:
    rounds = _WARM_UP + (_ROUNDS_OF_A_QUICK_RUN if quick else _ROUNDS)
    rows = []
    with database() as server, _ours(server) as ours, _express(server) as (express, nothing):
        connection = server.connect()
        population.join(connection, _REQUESTS)
        population.analyze(connection)
        for endpoint in _ENDPOINTS:
            taken: dict[Round, list[float]] = {ours: [], express: [], nothing: []}
            for _ in range(rounds):
                for serve, spent in taken.items():
                    _prepare(connection, endpoint)
                    spent.append(serve(endpoint))
            rows.append(_row(endpoint, *(spent[_WARM_UP:] for spent in taken.values())))
            progress(" ".join(rows[-1]))
        connection.close()
    return table("| ours | Express | Express without work | ratio | ratio, without Express's HTTP", rows)


def _row(endpoint: Endpoint, *sides: list[float]) -> list[str]:
    ours, express, nothing = map(statistics.median, sides)
    ratios = [f"{ours / each:.2f}" for each in (express, express - nothing)]
    measured = [f"{statistics.median(spent):.2f} ({min(spent):.2f})" for spent in sides]
    return [f"{endpoint.method} {endpoint.path}", *measured, *ratios]


def _prepare(connection: Any, endpoint: Endpoint) -> None:  # noqa: ANN401 (psycopg2's)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE after_hours_sessions, device_fingerprints, after_hours_outbox CASCADE")
    connection.commit()
    if endpoint.method == "GET":
        population.go_live(connection, _REQUESTS)
        connection.commit()


def _tokens() -> list[str]:
    return [members.token(f"member-{number}", fake_aws.JWT_SECRET) for number in range(1, _REQUESTS + 1)]


@contextmanager
def _ours(server: postgres.Database) -> Iterator[Round]:
    with (
        fake_aws.environment(server) as environment,
        subprocess.Popen(
            script("warm/ours.py"),
            cwd=REPOSITORY, env=os.environ | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        ) as process,
    ):  # fmt: skip
        requests, answers = process.stdin, process.stdout
        if requests is None or answers is None:
            raise RuntimeError("the process was started without pipes")
        tokens = _tokens()

        def serve(endpoint: Endpoint) -> float:
            events = [samples()[endpoint.function]["valid"].event(token) for token in tokens]
            print(json.dumps([endpoint.function, events]), file=requests, flush=True)
            seconds, statuses = json.loads(answers.readline())
            _expect(endpoint, statuses)
            return float(seconds) / _REQUESTS * 1000

        yield serve


@contextmanager
def _express(server: postgres.Database) -> Iterator[tuple[Round, Round]]:
    setup = {
        "connection": {
            "host": "127.0.0.1", "port": server.port, "user": server.secret["username"],
            "password": server.secret["password"], "database": server.dbname,
        },
        "secret": fake_aws.JWT_SECRET, "locationKey": fake_aws.LOCATION_KEY,
        "entitlements": access._ENTITLEMENTS, "start": sessions._START, "settle": relay._SETTLE,  # noqa: SLF001
    }  # fmt: skip
    process = subprocess.Popen(
        [str(NODE_FOLDER / "node"), str(Path(__file__).with_name("express.mjs"))],
        env={"SETUP": json.dumps(setup), "NODE_ENV": "production", "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    connection = HTTPConnection("127.0.0.1", int(process.stdout.readline() if process.stdout else ""))
    tokens = _tokens()

    def ask(method: str, path: str, body: str | None = None, token: str = "") -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def cpu() -> float:
        usage = ask("GET", "/cpu")[1]
        return float(usage["user"] + usage["system"]) / 1000

    def serve(endpoint: Endpoint) -> float:
        body = samples()[endpoint.function]["valid"].event("").get("body")
        before = cpu()
        _expect(endpoint, list({ask(endpoint.method, endpoint.path, body, token)[0] for token in tokens}))
        return (cpu() - before) / _REQUESTS

    try:
        yield serve, lambda _: serve(Endpoint("get_session", "GET", "/nothing", 200))
    finally:
        connection.close()
        process.terminate()
        process.wait()


def _expect(endpoint: Endpoint, statuses: list[int]) -> None:
    if statuses != [endpoint.status]:
        raise RuntimeError(f"{endpoint.method} {endpoint.path} answered {statuses}")
