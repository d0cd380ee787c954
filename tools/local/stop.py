"""`make stop`: end the running system, as Ctrl-C does where it was started, and what a killed one left behind."""

import os
import signal
import sys
import time

from tools.local.processes import Processes
from tools.local.workspace import CommandError, command_line, shows_errors

_SECONDS = 120


@shows_errors
def main() -> int:
    workspace = command_line(__doc__).parse_args().workspace
    holder = workspace.holder()
    if holder is None:
        ended = Processes(workspace).end_all()
        print(f"Ended what an earlier run left behind: {', '.join(ended)}." if ended else "Nothing is running here.")
        return 0
    os.kill(holder.pid, signal.SIGINT)
    deadline = time.monotonic() + _SECONDS
    while workspace.holder():
        if time.monotonic() > deadline:
            raise CommandError(f"Process {holder.pid} is not gone after {_SECONDS} s.")
        time.sleep(0.2)
    print("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
