"""Run the revisions in `versions/`, all in one transaction, one deployment at a time."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2's name for the class)
from sqlalchemy import NullPool, create_engine, text

# Our own: the main app may keep its revisions in alembic's default table of the same database.
VERSION_TABLE = "after_hours_alembic_version"
_DEPLOYMENT_LOCK = 0xAF7E4


def upgrade(connect: Callable[[], Connection], revision: str = "head") -> str | None:
    """Bring the database that `connect` opens to `revision` and return the revision it then has.

    Raises psycopg2's or SQLAlchemy's errors, and then has changed nothing.
    """

    def open_connection() -> Connection:
        connection = connect()
        connection.autocommit = False
        return connection

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with create_engine("postgresql+psycopg2://", creator=open_connection, poolclass=NullPool).begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(
            text("SET LOCAL lock_timeout = '20s'")
        )  # rather fail a deployment than queue all of the app's reads
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _DEPLOYMENT_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
