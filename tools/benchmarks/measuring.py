"""What the parts share: Markdown tables, processes of our scripts, and a database."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from migrations.upgrade import upgrade
from tools.local import members, postgres
from tools.local.processes import Processes
from tools.local.workspace import REPOSITORY, Workspace


def table(head: str, rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table. `head` names the columns, with bars between them."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([f"| {head} |", "|---" * (head.count("|") + 1) + "|", *lines])


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
