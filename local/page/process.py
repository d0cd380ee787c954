"""The page's server beside a system that starts: `make run` starts it last and ends it first."""

import os
import signal
import sys
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from local.processes import Processes
from local.workspace import Workspace


def start(url: str, workspace: Workspace, processes: Processes) -> None:
    """Serve the page at this URL for the system that is ready in this workspace. Raises CommandError when it cannot."""
    processes.start_server(
        "page",
        [sys.executable, "-m", "local.page", "--workspace", workspace.root, "--port", str(urlsplit(url).port)],
        environment={"PATH": os.defpath, "LANG": "C.UTF-8"},
        is_ready=lambda: _answers(url),
        stop_signal=signal.SIGKILL,  # what it would tidy up is in the memory of the local AWS, which ends with it
    )


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()  # noqa: S310 (our own http://127.0.0.1)
    except (URLError, ConnectionError, TimeoutError):
        return False
    return True
