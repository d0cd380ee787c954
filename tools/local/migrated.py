"""A PostgreSQL server with a migrated database, for one block of code."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from migrations.upgrade import upgrade
from tools.local import members, postgres
from tools.local.processes import Processes
from tools.local.workspace import Workspace


@contextmanager
def database() -> Iterator[postgres.Database]:
    """Start a server of its own with a migrated database, without members. It ends with the block."""
    with TemporaryDirectory(prefix="after-hours-") as folder:
        workspace = Workspace(Path(folder).resolve())
        processes = Processes(workspace)
        try:
            served = postgres.start(workspace, processes, durable=False)
            with closing(served.connect()) as connection:
                members.create_host_tables(connection)
            upgrade(served.connect)
            yield served
        finally:
            processes.end_all()
