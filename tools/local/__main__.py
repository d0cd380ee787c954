"""The commands of make for the system on this machine: `python -m tools.local <command> [arguments]`."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from infra.stages import STAGES
from tools.local import aws, members
from tools.local.arguments import number
from tools.local.demo import demo
from tools.local.invoke import events, invoke
from tools.local.logs import logs
from tools.local.page.server import serve
from tools.local.ports import DEFAULT, HIGHEST_FIRST, LOWEST_FIRST
from tools.local.processes import Processes, end_on_any_interruption
from tools.local.psql import psql
from tools.local.run import run
from tools.local.stack import Stack
from tools.local.token import token
from tools.local.workspace import Workspace, command_line, shows_errors


def stop(workspace: Workspace) -> None:
    """`make stop`: end the running system, as Ctrl-C does where it was started, and what a killed one left behind."""
    if (holder := workspace.holder()) is None:
        ended = Processes(workspace).end_all()
        print(f"Ended what an earlier run left behind: {', '.join(ended)}." if ended else "Nothing is running here.")
        return
    os.kill(holder, signal.SIGINT)
    while workspace.holder():
        time.sleep(0.2)
    print("Stopped.")


def reset(workspace: Workspace) -> None:
    """`make reset`: forget all that members did, and make the members of the local system anew."""
    if workspace.holder() is None:
        shutil.rmtree(workspace.postgres, ignore_errors=True)
        print("The database is gone; the next `make run` makes a new one.")
        return
    with closing(Stack.load(workspace).connect()) as connection:
        members.begin_anew(connection)
    print("All members are as after a first start. The sweep deletes what is left of their photos within a minute.")


# The function of each command, and its arguments beside --workspace, as argparse takes them. A function raises
# CommandError, or returns an exit code if that may be another than 0.
_COMMANDS: dict[str, tuple[Callable[..., int | None], dict[str, dict[str, Any]]]] = {
    "run": (run, {"--port": {"type": number(int, LOWEST_FIRST, HIGHEST_FIRST), "default": DEFAULT}}),
    "stop": (stop, {}),
    "reset": (reset, {}),
    "page": (serve, {"--port": {"type": number(int, 0, 65535), "default": 8765}}),
    "demo": (demo, {}),
    "logs": (logs, {"function": {"nargs": "?"}}),
    "psql": (psql, {"sql": {"nargs": "?"}, "--statement": {}}),
    "token": (token, {"stage": {"choices": sorted(STAGES.keys() - {"prod"})}, "user": {}}),
    "events": (events, {"--run": {"action": "store_true"}}),
    "invoke": (
        invoke,
        {
            "function": {},
            "event": {"nargs": "?", "default": "valid"},
            "--json": {"action": "store_true"},
            "--here": {"action": "store_true"},
        },
    ),
}


@shows_errors
def main() -> int:
    name, *words = sys.argv[1:]
    function, arguments = _COMMANDS[name]
    parser = command_line(function.__doc__)
    for argument, options in arguments.items():
        parser.add_argument(argument, **options)
    end_on_any_interruption()
    if name != "token":  # it may read the secret of a deployed stage, with the caller's rights
        aws.keep_to_this_machine()
    return function(**vars(parser.parse_args(words))) or 0


if __name__ == "__main__":
    sys.exit(main())
