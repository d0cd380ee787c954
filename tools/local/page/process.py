"""The page's server as a process of a local system: `make run` starts it last and ends it first."""

import os
import signal
import sys
from urllib.parse import urlsplit

from tools.local.processes import Processes, answers
from tools.local.workspace import Workspace


def start(url: str, workspace: Workspace, processes: Processes) -> None:
    """Serve the page at this URL for the system that is ready in this workspace. Raises CommandError when it cannot."""
    processes.start_server(
        "page",
        [sys.executable, "-m", "tools.local.page", "--workspace", workspace.root, "--port", str(urlsplit(url).port)],
        environment={"PATH": os.defpath, "LANG": "C.UTF-8"},
        is_ready=lambda: answers(url),
        stop_signal=signal.SIGKILL,  # it would only clean up in the local AWS, which ends as well
    )
