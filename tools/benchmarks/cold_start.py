"""What a cold start costs, in multiples of a floor: until the handler is ready, and with its first request.

Each figure is of a fresh process that has only the built layer, as on Lambda. It counts instructions, whose number does
not depend on what else the machine does, by valgrind; where that is not installed, CPU time, the best of a few runs.
"""

import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from infra import build
from tools.benchmarks import fake_aws
from tools.benchmarks.measuring import table
from tools.local import members, population
from tools.local.handlers import Context
from tools.local.migrated import database
from tools.local.progress import Progress
from tools.local.samples import samples

_ROUNDS, _ROUNDS_OF_A_QUICK_RUN = 5, 1
_FLOOR = """
import jwt, psycopg2
from aws_lambda_powertools.logging import Logger
from pydantic import BaseModel
class Model(BaseModel):
    number: int
Logger(service="floor")
"""
_READY = "import handler\n"
# The fake AWS speaks HTTP. With the real one botocore reads the TLS authorities for each connection, so this does, too.
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


def measure(progress: Progress, *, quick: bool) -> str:
    rounds = _ROUNDS_OF_A_QUICK_RUN if quick else _ROUNDS
    layer = build.layer("after_hours", build.HOST).folder / "python"
    counted: dict[str, float] = {}
    with database() as server, fake_aws.environment(server) as environment:
        connection = server.connect()
        population.join(connection, len(_FUNCTIONS))
        population.go_live(connection, len(_FUNCTIONS))
        with connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM after_hours_sessions WHERE user_id = 'member-3'")  # this member starts one
        connection.close()
        for name, code, function, event in _cases():
            folders = [str(layer), str(build.function(function, build.HOST).folder)]
            script = f"import sys\nsys.path[:0] = {folders!r}\n{code}"
            arguments = json.dumps([event, vars(Context(function)), _FUNCTIONS[function]])
            command = [sys.executable, "-I", "-S", "-B", "-c", script, arguments]
            counted[name] = _cost(command, environment | {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, rounds)
            progress(f"{name}: {counted[name] / counted['the floor']:.2f} floors")
    floor = counted["the floor"]
    multiples = table("| floors", [[name, f"{cost / floor:.2f}"] for name, cost in counted.items()])
    return f"The floor is {floor:,.2f} {'million instructions' if shutil.which('valgrind') else 's'}.\n\n{multiples}"


def _cases() -> Iterator[tuple[str, str, str, Any]]:
    """Yield what to measure: name, code, function and event."""
    yield "the floor", _FLOOR, "get_session", None
    yield "Python alone", "pass", "get_session", None
    for number, function in enumerate(_FUNCTIONS, 1):
        event = samples()[function]["valid"].event(members.token(f"member-{number}", fake_aws.JWT_SECRET))
        yield f"{function}, ready", _READY, function, None
        yield f"{function}, first request", _READY + _FIRST_REQUEST, function, event


def _cost(command: list[str], environment: dict[str, str], rounds: int) -> float:
    """Return the millions of instructions of a command, or its CPU seconds where there is no valgrind."""
    if shutil.which("valgrind"):
        tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        [counted] = re.findall(r"I\s+refs:\s+([\d,]+)", _run([*tool, *command], environment))
        return float(counted.replace(",", "")) / 1e6
    seconds = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _run(command, environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Run a process, and return its stderr, to which valgrind writes."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stderr
