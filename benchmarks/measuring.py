"""What the parts share: telling how far they are, the machine they ran on, and a database to run on."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from local import members, postgres
from local.processes import Processes
from local.workspace import Workspace
from migrations.upgrade import upgrade

type Json = dict[str, Any]


@dataclass
class Progress:
    """Tells what was measured and how much is left. `quick` asks for a small run: its figures are rough."""

    quick: bool
    _began: float = field(default_factory=time.monotonic)
    _most_load: float = 0

    def tell(self, done: int, of: int, what: str) -> None:
        """Say that step `done` of `of` is over."""
        self._most_load = max(self._most_load, os.getloadavg()[0])
        taken = time.monotonic() - self._began
        left = f", some {taken / done * (of - done):.0f} s left" if 0 < done < of else ""
        print(f"[{taken:4.0f} s] {done} of {of}{left}: {what}", flush=True)

    def machine(self) -> Json:
        """Return where and when this was measured, and what else the machine had to do."""
        return {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "python": platform.python_version(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "most_load": round(max(self._most_load, os.getloadavg()[0]), 1),
            "quick": self.quick,
        }


@contextmanager
def database() -> Iterator[postgres.Database]:
    """A migrated database on a server of its own, without members."""
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
