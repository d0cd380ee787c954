"""Let squawk read the SQL of revisions that are not released yet: what would lock or break the main app's tables.

A revision is run without a database, and what it would send is written down. A row count that it asks for is 0.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, create_mock_engine

REPOSITORY = Path(__file__).resolve().parent.parent
FIRST_CHECKED = "0008"  # squawk came after those before it, which can no longer change

_URL = "postgresql+psycopg2://"


def sql(revision: Script) -> str:
    """Return the statements that a revision sends."""
    sent: list[str] = []

    def write_down(statement: Any, parameters: Any = None) -> SimpleNamespace:  # noqa: ANN401 (SQLAlchemy's)
        bound = statement.bindparams(**parameters) if parameters else statement
        sent.append(str(bound.compile(engine, compile_kwargs={"literal_binds": True})))
        return SimpleNamespace(rowcount=0)

    engine = create_mock_engine(_URL, write_down)
    with Operations.context(MigrationContext.configure(cast("Connection", engine.connect()))):
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
