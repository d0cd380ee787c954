"""Let squawk check the SQL of revisions that are not released yet for what would lock or break the main app's tables.

A revision is run without a database: the statements that it sends are collected, and none of them returns rows.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, create_mock_engine

REPOSITORY = Path(__file__).resolve().parent.parent
FIRST_CHECKED = "0008"  # earlier revisions are older than the use of squawk, and can no longer change

_URL = "postgresql+psycopg2://"


class _NoRows:
    rowcount = 0

    def scalar(self) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def sql(revision: Script) -> str:
    """Return the statements that a revision sends."""
    sent: list[str] = []

    def write_down(statement: Any, parameters: Any = None) -> _NoRows:  # noqa: ANN401 (SQLAlchemy's)
        bound = statement.bindparams(**parameters) if parameters else statement
        sent.append(str(bound.compile(engine, compile_kwargs={"literal_binds": True})))
        return _NoRows()

    @contextmanager
    def outside_a_transaction() -> Iterator[None]:
        sent.append("COMMIT")
        yield
        sent.append("BEGIN")

    engine = create_mock_engine(_URL, write_down)
    migration = MigrationContext.configure(cast("Connection", engine.connect()))
    migration.autocommit_block = outside_a_transaction  # type: ignore[method-assign]
    with Operations.context(migration):
        revision.module.upgrade()
    return ";\n".join(statement.rstrip().removesuffix(";") for statement in sent) + ";\n"


def check(migrations: Path, first: str) -> int:
    """Print what squawk says of the revisions from `first` on; return its exit code."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    scripts = ScriptDirectory.from_config(config)
    with TemporaryDirectory() as folder:
        files = []
        for revision in scripts.walk_revisions():
            if revision.revision >= first:
                files.append(Path(folder, f"{revision.revision}.sql"))
                files[-1].write_text(sql(revision))
        squawk = [str(Path(sys.executable).with_name("squawk")), "--config", str(REPOSITORY / ".squawk.toml")]
        return subprocess.run([*squawk, *map(str, files)], check=False).returncode if files else 0


if __name__ == "__main__":
    sys.exit(check(REPOSITORY / "migrations", FIRST_CHECKED))
