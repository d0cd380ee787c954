"""What the parts share: their progress, the machine that they ran on, and a database."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from migrations.upgrade import upgrade
from tools.local import members, postgres
from tools.local.processes import Processes
from tools.local.workspace import REPOSITORY, Workspace

type Json = dict[str, Any]


@dataclass
class Progress:
    """Prints what was measured and how much is left. `quick` asks for a small run, whose figures are rough."""

    quick: bool
    _began: float = field(default_factory=time.monotonic)
    _most_load: float = 0

    def tell(self, done: int, of: int, what: str) -> None:
        """Print that step `done` of `of` is over."""
        self._most_load = max(self._most_load, os.getloadavg()[0])
        taken = time.monotonic() - self._began
        left = f", some {taken / done * (of - done):.0f} s left" if 0 < done < of else ""
        print(f"[{taken:4.0f} s] {done} of {of}{left}: {what}", flush=True)

    def machine(self) -> Json:
        """Return when and on what machine this was measured, and that machine's highest load."""
        return {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "python": platform.python_version(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "most_load": round(max(self._most_load, os.getloadavg()[0]), 1),
            "quick": self.quick,
        }


def script(path: str, *arguments: str) -> list[str]:
    """Return the command for a script of ours in a process of its own.

    As a module of a part it would first load the rest of that part, and be measured with all of it in its memory.
    """
    paths = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "layers/after_hours/python")))
    return ["env", f"PYTHONPATH={paths}", sys.executable, "-P", str(Path(__file__).parent / path), *arguments]


@contextmanager
def database() -> Iterator[postgres.Database]:
    """Start a server of its own with a migrated database, without members."""
    with TemporaryDirectory(prefix="after-hours-") as folder:
        workspace = Workspace(Path(folder).resolve())
        processes = Processes(workspace)
        try:
            served = postgres.start(workspace, processes, durable=False)
            connection = served.connect()
            members.create_host_tables(connection)
            connection.close()
            upgrade(served.connect)
            yield served
        finally:
            processes.end_all()
