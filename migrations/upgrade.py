"""Run the revisions in `versions/`, all in one transaction, one deployment at a time."""

from collections.abc import Callable
from pathlib import Path

import psycopg2
from after_hours.observability import logger, stack
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2's name for the class)
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

# Our own: the main app may keep its revisions in alembic's default table of the same database.
VERSION_TABLE = "after_hours_alembic_version"
_DEPLOYMENT_LOCK = 0xAF7E4


class MigrationFailed(Exception):
    """PostgreSQL refused a revision. Names the error, the table and the constraint, and quotes nothing.

    PostgreSQL's own message may quote a whole row: a place, a text. CloudFormation shows this one to whoever deploys.
    """


def upgrade(connect: Callable[[], Connection], revision: str = "head") -> str | None:
    """Bring the database that `connect` opens to `revision` and return the revision it then has.

    Raises `MigrationFailed`, and then has changed nothing; and what `connect` raises, before there is a row to quote.
    """
    opened = connect()
    opened.autocommit = False
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    engine = create_engine("postgresql+psycopg2://", creator=lambda: opened, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(
                text("SET LOCAL lock_timeout = '20s'")
            )  # rather fail a deployment than queue all of the app's reads
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _DEPLOYMENT_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    except (DBAPIError, psycopg2.Error) as error:
        failure = _named(error)
        logger.error("migration failed", error=str(failure), stack=stack(error))
        raise failure from None


def _named(error: DBAPIError | psycopg2.Error) -> MigrationFailed:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg2.Error):
        return MigrationFailed(type(cause).__name__)
    names = {"table": cause.diag.table_name, "constraint": cause.diag.constraint_name}
    return MigrationFailed(
        ", ".join(
            [f"{type(cause).__name__} {cause.pgcode or ''}".strip()]
            + [f"{kind} {name}" for kind, name in names.items() if name]
        )
    )
