"""Workspaces of systems that tests start, and what runs there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tools.local.workspace import Workspace


@contextmanager
def temporary_workspace() -> Iterator[Workspace]:
    """A workspace that is removed afterwards.

    It is not in pytest's `tmp_path`: every further pytest that starts closes the folder above that to all other users.
    PostgreSQL, which root starts as a user of its own, then cannot open its files any more and ends with a PANIC.
    """
    with TemporaryDirectory(prefix="after-hours-") as folder:
        yield Workspace(Path(folder).resolve())


def processes_of(workspace: Workspace) -> list[psutil.Process]:
    """Every process on this machine that names the workspace in its command, or works in it: whoever started it."""
    root = str(workspace.root)
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and (
                any(root in text for text in (*process.cmdline(), *process.environ().values()))
            ):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
