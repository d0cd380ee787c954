"""`make stop`: end the running system, as Ctrl-C does where it was started, and what a killed one left behind."""

import os
import signal
import sys
import time

from tools.local.processes import Processes
from tools.local.workspace import CommandError, command_line

_SECONDS = 120


def main() -> int:
    workspace = command_line(__doc__).parse_args().workspace
    try:
        holder = workspace.holder()
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    if holder is None:
        left = Processes(workspace).end_all()
        print(f"Ended what an earlier run left behind: {', '.join(left)}." if left else "Nothing is running here.")
        return 0
    os.kill(holder.pid, signal.SIGINT)
    deadline = time.monotonic() + _SECONDS
    while workspace.is_occupied():
        if time.monotonic() > deadline:
            print(f"Process {holder.pid} is not gone after {_SECONDS} s.", file=sys.stderr)
            return 1
        time.sleep(0.2)
    print("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
