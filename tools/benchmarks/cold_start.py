"""What a cold start costs, in multiples of a floor: until the handler is ready, and with its first request.

Each figure is of a fresh process that has only the built layer, as on Lambda. It counts instructions, whose number does
not depend on what else the machine does: by `perf` where the processor allows it, else by valgrind where that is
installed. Without both, it is CPU time, the best of a few runs.
"""

import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable

from matplotlib.figure import Figure

from infra import build
from tools.benchmarks import fake_aws
from tools.benchmarks.measuring import Json, Progress, database
from tools.local import members, population
from tools.local.handlers import Context
from tools.local.population import Members
from tools.local.samples import samples

_ROUNDS = 5
_FLOOR = """
import jwt, psycopg2
from aws_lambda_powertools.logging import Logger
from pydantic import BaseModel
class Model(BaseModel):
    number: int
Logger(service="floor")
"""
_READY = "import handler\n"
# The fake AWS speaks HTTP. With the real one botocore reads authorities of TLS for each connection; so they are read.
_FIRST_REQUEST = """
import json, ssl, sys, botocore
from pathlib import Path
from types import SimpleNamespace
event, context, connections = json.loads(sys.argv[-1])
for _ in range(connections):
    ssl.create_default_context(cafile=Path(botocore.__file__).with_name("cacert.pem"))
answer = handler.handler(event, SimpleNamespace(**context))
assert answer["statusCode"] < 300, answer
"""
# How many connections to AWS the first request takes: for secrets, and for two schedules and the bus.
_FUNCTIONS = {"get_session": 1, "get_profile": 1, "start_session": 4, "end_session": 4}

type Count = Callable[[list[str], dict[str, str]], float]


def _perf(command: list[str], environment: dict[str, str]) -> float:
    done = _run(["perf", "stat", "-x,", "-e", "instructions:u", *command], environment)
    return float(done.splitlines()[-1].split(",")[0])


def _valgrind(command: list[str], environment: dict[str, str]) -> float:
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    counted = re.search(r"I\s+refs:\s+([\d,]+)", _run([*tool, *command], environment))
    if not counted:
        raise ValueError("valgrind counted nothing")
    return float(counted[1].replace(",", ""))


def _cpu(command: list[str], environment: dict[str, str]) -> float:
    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _run(command, environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(_ROUNDS))


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Run a process, and return its stderr, to which the counting tool writes."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stderr


def _way_to_count() -> tuple[str, Count]:
    """Return a unit, and the function that counts it for a command: the most exact one that works here."""
    for what, tool, count in (
        ("instructions, by perf", "perf", _perf),
        ("instructions, by valgrind", "valgrind", _valgrind),
    ):
        try:
            if shutil.which(tool):
                count([sys.executable, "-c", "pass"], {})
                return what, count
        except (RuntimeError, ValueError):  # many virtual machines do not let perf count
            continue
    return "CPU seconds", _cpu


def measure(progress: Progress) -> Json:
    unit, count = _way_to_count()
    layer = build.layer("after_hours", build.HOST).folder / "python"
    with database() as server, fake_aws.environment(server) as environment:
        connection = server.connect()
        population.join(connection, Members(1, len(_FUNCTIONS)))
        population.go_live(connection, Members(1, len(_FUNCTIONS)))
        with connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM after_hours_sessions WHERE user_id = 'member-3'")  # this member starts one
        connection.close()

        def costs(code: str, function: str = "get_session", event: Json | None = None) -> float:
            folders = [str(layer), str(build.function(function, build.HOST).folder)]
            script = f"import sys\nsys.path[:0] = {folders!r}\n{code}"
            context = vars(Context(function))
            arguments = json.dumps([event, context, _FUNCTIONS[function]])
            command = [sys.executable, "-I", "-S", "-B", "-c", script, arguments]
            return count(command, environment | {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})

        cases = list(_cases())
        counted: dict[str, float] = {}
        for done, (name, code, function, event) in enumerate(cases, 1):
            counted[name] = costs(code, function, event)
            progress.tell(done, len(cases), f"{name}: {counted[name] / counted['the floor']:.2f} floors")
    return {
        "unit": unit,
        "floor": counted["the floor"],
        "above_floor": {name: round(number / counted["the floor"], 3) for name, number in counted.items()},
    }


def _cases() -> list[tuple[str, str, str, Json | None]]:
    """Return what to measure: name, code, function and event."""
    cases: list[tuple[str, str, str, Json | None]] = [
        ("the floor", _FLOOR, "get_session", None),
        ("Python alone", "pass", "get_session", None),
    ]
    for number, function in enumerate(_FUNCTIONS, 1):
        event = samples()[function]["valid"].event(members.token(f"member-{number}", fake_aws.JWT_SECRET))
        cases.append((f"{function}, ready", _READY, function, None))
        cases.append((f"{function}, first request", _READY + _FIRST_REQUEST, function, event))
    return cases


def section(results: Json) -> str:
    rows = [f"| {name} | {multiple:.2f} |" for name, multiple in results["above_floor"].items()]
    return _TEXT.format(unit=results["unit"], floor=_amount(results), rows="\n".join(rows))


def plots(results: Json) -> dict[str, Figure]:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    multiples = dict(reversed(results["above_floor"].items()))
    axes.barh(list(multiples), list(multiples.values()), color="grey")
    axes.set(xlabel="floors")
    return {"cold_start": figure}


def _amount(results: Json) -> str:
    floor: float = results["floor"]
    return f"{floor / 1e6:.0f} million" if "instructions" in results["unit"] else f"{floor * 1000:.0f} ms"


_TEXT = """\
## Cold start

A fresh process with the built layer and nothing else, until the handler is ready, and with its first request: secrets,
connecting (without TLS), statements, what follows a start. In multiples ({unit}) of a floor of {floor}: Powertools'
logger, pydantic with one model, psycopg2 and PyJWT, which hardly any function like these can be without. boto3 and its
clients are the rest: [boto3 is the way to AWS](decisions/cold-start.md).

| | floors |
|---|---|
{rows}

![Multiples of the floor](performance/cold_start.svg)
"""
