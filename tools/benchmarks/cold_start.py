"""What a cold start costs, in multiples of a floor: until the handler is ready, and with its first request.

Each figure is of a fresh process that has only the built layer, as on Lambda. It is the number of instructions, which
does not depend on what else the machine does, counted by valgrind.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from infra import build
from tools.benchmarks import fake_aws
from tools.benchmarks.measuring import table
from tools.local import members, population
from tools.local.handlers import Context
from tools.local.migrated import database
from tools.local.progress import Progress
from tools.local.samples import samples

_COUNT = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
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
# How many connections to AWS the first request takes: for secrets, and for two schedules and the bus. The one member is
# live at first, and so ends a session before starting one.
_FUNCTIONS = {"get_session": 1, "get_profile": 1, "end_session": 4, "start_session": 4}


def measure(progress: Progress, *, quick: bool) -> str:  # noqa: ARG001 (one run counts all there is)
    if not shutil.which("valgrind"):
        return "Not measured: valgrind is not installed."
    layer = build.layer("after_hours", build.HOST).folder / "python"
    counted: dict[str, int] = {}
    with database() as server, fake_aws.environment(server) as environment:
        with closing(server.connect()) as connection:
            population.join(connection, 1)
            population.go_live(connection, 1)
        for name, code, function, event in _cases():
            folders = [str(layer), str(build.function(function, build.HOST).folder)]
            script = f"import sys\nsys.path[:0] = {folders!r}\n{code}"
            arguments = json.dumps([event, vars(Context(function)), _FUNCTIONS[function]])
            command = [sys.executable, "-I", "-S", "-B", "-c", script, arguments]
            counted[name] = _instructions(command, environment | {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})
            progress(f"{name}: {counted[name] / counted['the floor']:.2f} floors")
    floor = counted["the floor"]
    multiples = table("| floors", [[name, f"{count / floor:.2f}"] for name, count in counted.items()])
    return f"The floor is {floor / 1e6:,.0f} million instructions.\n\n{multiples}"


def _cases() -> Iterator[tuple[str, str, str, Any]]:
    """Yield what to measure: name, code, function and event."""
    yield "the floor", _FLOOR, "get_session", None
    yield "Python alone", "pass", "get_session", None
    for function in _FUNCTIONS:
        event = samples()[function]["valid"].event(members.token("member-1", fake_aws.JWT_SECRET))
        yield f"{function}, ready", _READY, function, None
        yield f"{function}, first request", _READY + _FIRST_REQUEST, function, event


def _instructions(command: list[str], environment: dict[str, str]) -> int:
    done = subprocess.run([*_COUNT, *command], check=False, capture_output=True, text=True, env=environment, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    [counted] = re.findall(r"I\s+refs:\s+([\d,]+)", done.stderr)
    return int(counted.replace(",", ""))
