"""Warm endpoints against an Express app that does the same work, measured in turns on the same database."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any, NamedTuple

from after_hours.entrypoints import access
from after_hours.members import sessions
from after_hours.outbox import relay
from matplotlib.figure import Figure

from tools.benchmarks import fake_aws
from tools.benchmarks.measuring import Json, Progress, database, script
from tools.local import members, population, postgres
from tools.local.population import Members
from tools.local.samples import samples
from tools.local.workspace import REPOSITORY

_REQUESTS = 200  # in a round, each by another member
_WARM_UP = 3  # rounds
_ROUNDS, _ROUNDS_OF_A_QUICK_RUN = 15, 5


class Taken(NamedTuple):
    """The milliseconds of a request: CPU, and wall clock time as a whole."""

    cpu: float
    whole: float


class Endpoint(NamedTuple):
    function: str
    method: str
    path: str
    status: int


_ENDPOINTS = (
    Endpoint("get_session", "GET", "/session", 200),
    Endpoint("start_session", "POST", "/session/start", 201),
)

type Round = Callable[[Endpoint], Taken]


def measure(progress: Progress) -> Json:
    rounds = _ROUNDS_OF_A_QUICK_RUN if progress.quick else _ROUNDS
    results: Json = {"requests": rounds * _REQUESTS}
    with database() as server, _ours(server) as ours, _express(server) as (express, nothing):
        connection = server.connect()
        population.join(connection, Members(1, _REQUESTS))
        population.analyze(connection)
        for number, endpoint in enumerate(_ENDPOINTS):
            taken: dict[str, list[Taken]] = {"ours": [], "express": [], "express without work": []}
            for done in range(1, _WARM_UP + rounds + 1):
                for side, serve in (("ours", ours), ("express", express), ("express without work", nothing)):
                    _prepare(connection, endpoint)
                    taken[side].append(serve(endpoint))
                progress.tell(
                    number * (_WARM_UP + rounds) + done,
                    len(_ENDPOINTS) * (_WARM_UP + rounds),
                    f"{endpoint.method} {endpoint.path}, CPU ms: "
                    + ", ".join(f"{side} {each[-1].cpu:.2f}" for side, each in taken.items()),
                )
            results[f"{endpoint.method} {endpoint.path}"] = {
                side: {
                    "cpu_ms": round(statistics.median(each.cpu for each in rounds_[_WARM_UP:]), 3),
                    "fastest_cpu_ms": round(min(each.cpu for each in rounds_[_WARM_UP:]), 3),
                    "ms": round(statistics.median(each.whole for each in rounds_[_WARM_UP:]), 3),
                }
                for side, rounds_ in taken.items()
            }
        connection.close()
    return results


def _prepare(connection: Any, endpoint: Endpoint) -> None:  # noqa: ANN401 (psycopg2's)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE after_hours_sessions, device_fingerprints, after_hours_outbox CASCADE")
    connection.commit()
    if endpoint.method == "GET":
        population.go_live(connection, Members(1, _REQUESTS))
        connection.commit()


def _tokens() -> list[str]:
    return [members.token(f"member-{number}", fake_aws.JWT_SECRET) for number in range(1, _REQUESTS + 1)]


@contextmanager
def _ours(server: postgres.Database) -> Iterator[Round]:
    with fake_aws.environment(server) as environment:
        process = subprocess.Popen(
            script("warm/ours.py"),
            cwd=REPOSITORY, env=os.environ | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        requests, answers = _pipes(process)
        tokens = _tokens()

        def serve(endpoint: Endpoint) -> Taken:
            events = [samples()[endpoint.function]["valid"].event(token) for token in tokens]
            print(json.dumps([endpoint.function, events]), file=requests, flush=True)
            cpu, whole, statuses = json.loads(answers.readline())
            _expect(endpoint, statuses)
            return Taken(cpu / _REQUESTS * 1000, whole / _REQUESTS * 1000)

        try:
            yield serve
        finally:
            requests.close()
            process.wait()


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
        [str(Path(sys.executable).parent / "node"), str(Path(__file__).with_name("express.mjs"))],
        env={"SETUP": json.dumps(setup), "NODE_ENV": "production", "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    _, output = _pipes(process)
    connection = HTTPConnection("127.0.0.1", int(output.readline()))
    tokens = _tokens()

    def ask(method: str, path: str, body: str | None = None, token: str = "") -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def cpu() -> float:
        usage = ask("GET", "/cpu")[1]
        return float(usage["user"] + usage["system"]) / 1000

    def serve(endpoint: Endpoint, *, path: str | None = None) -> Taken:
        body = samples()[endpoint.function]["valid"].event("").get("body")
        before, began = cpu(), time.perf_counter()
        statuses = {ask(endpoint.method, path or endpoint.path, body, token)[0] for token in tokens}
        whole = (time.perf_counter() - began) * 1000
        _expect(endpoint, list(statuses))
        return Taken((cpu() - before) / _REQUESTS, whole / _REQUESTS)

    def nothing(_: Endpoint) -> Taken:
        return serve(Endpoint("get_session", "GET", "/nothing", 200))

    try:
        yield serve, nothing
    finally:
        connection.close()
        process.terminate()
        process.wait()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    """Return the pipes to a process's stdin and from its stdout."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process was started without pipes")
    return process.stdin, process.stdout


def _expect(endpoint: Endpoint, statuses: list[int]) -> None:
    if statuses != [endpoint.status]:
        raise RuntimeError(f"{endpoint.method} {endpoint.path} answered {statuses}")


def section(results: Json) -> str:
    rows = []
    for name, sides in results.items():
        if name in {"requests", "machine"}:
            continue
        ours, express, nothing = (sides[side] for side in ("ours", "express", "express without work"))
        columns = [f"{side['cpu_ms']:.2f} ({side['fastest_cpu_ms']:.2f})" for side in (ours, express, nothing)]
        without_http = express["cpu_ms"] - nothing["cpu_ms"]
        columns += [f"{ours['cpu_ms'] / of:.2f}" for of in (express["cpu_ms"], without_http)]
        rows.append(f"| {name} | {' | '.join(columns)} |")
    return _TEXT.format(requests=results["requests"], rows="\n".join(rows))


def plots(results: Json) -> dict[str, Figure]:
    figure = Figure(figsize=(7, 2.5), layout="constrained")
    axes = figure.subplots()
    names = [name for name in results if name not in {"requests", "machine"}]
    for position, side in enumerate(("ours", "express", "express without work")):
        places = [place + 0.27 * (1 - position) for place in range(len(names))]
        axes.barh(places, [results[name][side]["cpu_ms"] for name in names], height=0.25, label=side)
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel="CPU of a request, ms")
    axes.legend(fontsize="small")
    return {"warm": figure}


_TEXT = """\
## Warm endpoints, against Express

Our handlers with API Gateway's event, and an [Express](https://expressjs.com) app with `pg` and `jsonwebtoken` over
HTTP on this machine (benchmarks/warm/express.mjs), each a process with one connection to the same PostgreSQL. Both
verify the token, check access, validate, send the same statements, and write a line of log. Express reads in two round
trips, we in one; a start takes both three. Neither calls AWS. For a start Express takes one keyed hash where ours ranks
a hundred places. Ours has no HTTP to read and write, since Lambda does that; so the CPU of a request without work,
which is all HTTP, is in a column of its own.

CPU of a request in milliseconds: the median of rounds taken in turns, and the fastest in brackets; {requests:,}
requests of each side.

| | ours | Express | Express without work | ratio | ratio, without Express's HTTP |
|---|---|---|---|---|---|
{rows}

![CPU of a request](performance/warm.svg)
"""
