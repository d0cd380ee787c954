"""The page on which a person plays all of After Hours: `static/` in the browser, and a thin server beside it.

The browser calls the API as a phone does, through the server, so that no CORS is needed. The server reads from the
running system what no phone may see: schedules, events, logs, and the place that others are shown.
"""

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
        [sys.executable, "-m", "tools.local", "page", "--workspace", workspace.root, "--port", str(urlsplit(url).port)],
        environment={"PATH": os.defpath, "LANG": "C.UTF-8"},
        is_ready=lambda: answers(url),
        stop_signal=signal.SIGKILL,  # it would only clean up in the local AWS, which ends as well
    )
