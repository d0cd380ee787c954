"""Run the revisions in `versions/`, each in one transaction, one deployment at a time."""

import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
from after_hours.observability import logger, stack
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2's name for the class)
from sqlalchemy import Connection as AlchemyConnection
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from migrations import others, serving_role
from migrations.commands import run_missing
from migrations.failure import MigrationFailed

# The table is our own: the main app may keep its revisions in alembic's default table of the same database.
VERSION_TABLE = "after_hours_alembic_version"
_DEPLOYMENT_LOCK = 0xAF7E4
_LOCK_POLL_SECONDS = 0.5

# These are settings of the session, not of a transaction, since some revisions leave their transaction. A deployment
# that waits for a lock makes all of the main app's reads queue behind it, so it gives up soon, and fails.
_SETTINGS = "SET statement_timeout = 0; SET lock_timeout = '20s'; SET TimeZone = 'UTC'"
# A change locks its member's row of `users` (after_hours_lock_member), which takes the right to change a column of it.
# No statement of ours writes this one.
_RIGHT_TO_LOCK = """
SELECT format('GRANT UPDATE (after_hours_consent_at) ON users TO %I', pg_get_userbyid(proowner)) FROM pg_proc
WHERE proname = 'after_hours_lock_member' AND pronamespace = to_regnamespace(quote_ident(current_schema()))
    AND NOT has_any_column_privilege(proowner, 'users', 'UPDATE')
"""
_HOST_TABLES = Path(__file__).with_name("host_tables.sql")


def upgrade(
    connect: Callable[[], Connection],
    revision: str = "head",
    *,
    app_role: str | None = None,
    host_tables: bool = False,
) -> str | None:
    """Bring the database that `connect` opens to `revision` and return the revision it then has.

    `app_role` is the role that the functions connect as; without one they connect as the role that migrates.
    `host_tables` makes the main app's tables where they are missing, for a database that no main app has.

    A database with a revision that this code does not know is of a later release: a rollback deploys this code onto it,
    and nothing is changed. Raises `MigrationFailed`; the revision that failed has then changed nothing, those before it
    stay. Raises what `connect` raises, before there is a row to quote.
    """
    opened = connect()
    opened.autocommit = False
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    engine = create_engine("postgresql+psycopg2://", creator=lambda: opened, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(text(_SETTINGS))
            connection.commit()
            _wait_for_other_deployments(connection)
            current = _revision(connection)
            if current not in {None, *_known(config)}:
                logger.warning("the database is of a later release; nothing is migrated", revision=current)
                return current
            others.refuse_open_schemas(connection)
            if host_tables:
                connection.exec_driver_sql(_HOST_TABLES.read_text())
                connection.commit()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            try:
                run_missing(connection, _RIGHT_TO_LOCK, {}, failing="no account can be locked")
                if app_role:
                    serving_role.let_serve(connection, app_role)
            finally:
                others.shut_out(connection)
            return _revision(connection)
    except (DBAPIError, psycopg2.Error) as error:
        failure = _named(error)
        logger.error("migration failed", error=str(failure), stack=stack(error))
        raise failure from None


def _wait_for_other_deployments(connection: AlchemyConnection) -> None:
    """Take the lock of deployments, which the end of the connection gives back.

    The lock is asked for again and again: a statement that waited for the lock would hold a snapshot, and whoever has
    the lock may be building an index CONCURRENTLY, which waits for all older snapshots.
    """
    while not connection.scalar(text("SELECT pg_catalog.pg_try_advisory_lock(:lock)"), {"lock": _DEPLOYMENT_LOCK}):
        connection.rollback()
        time.sleep(_LOCK_POLL_SECONDS)
    connection.commit()


def _revision(connection: AlchemyConnection) -> str | None:
    """Read the revision by itself: alembic would compare names, before it is known whose operators would do it."""
    exists = text("SELECT pg_catalog.to_regclass('after_hours_alembic_version') IS NOT NULL")
    read = text("SELECT version_num FROM after_hours_alembic_version")
    current = connection.scalar(read) if connection.scalar(exists) else None
    connection.rollback()
    return current


def _known(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


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
