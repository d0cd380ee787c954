"""Run the revisions in `versions/`, each in one transaction, one deployment at a time.

No statement waits long for a lock, since all of the main app's reads queue behind one that waits. A migration that did
not get a lock pauses and tries again: finished revisions are committed, and are not run twice.
"""

import math
import time
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import psycopg2
from after_hours.foundation.observability import logger, stack
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2's name for the class)
from sqlalchemy import Connection as AlchemyConnection
from sqlalchemy import NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError, SQLAlchemyError

from migrations import others, preparation, serving_role
from migrations.commands import run_missing
from migrations.failure import MigrationFailed

# The table is our own: the main app may keep its revisions in alembic's default table of the same database.
VERSION_TABLE = "after_hours_alembic_version"
_DEPLOYMENT_LOCK = 0xAF7E4
_LOCK_POLL_SECONDS = 0.5

LIMIT_SECONDS = 480.0  # the function has ten minutes (infra.database)
# These are settings of the session, not of a transaction, since some revisions leave their transaction.
SETTINGS = "SET lock_timeout = '2s'; SET TimeZone = 'UTC'"
_LOCKED = (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected)
# after_hours_lock_member locks a row of `users`, which takes the right to UPDATE a column of it (PostgreSQL's manual on
# SELECT, "The Locking Clause"). No statement of ours writes this one.
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
    limit_seconds: float = LIMIT_SECONDS,
) -> str | None:
    """Bring the database that `connect` opens to `revision` and return the revision it then has.

    `app_role` is the role that the functions connect as; without one they connect as the role that migrates.
    `host_tables` makes the main app's tables where they are missing, for a database that no main app has.

    If this code does not know the database's revision, this is a rollback from a later release, and nothing is changed.
    Raises what `connect` raises, and `MigrationFailed`. Then the revision that failed has changed nothing, those before
    it stay, and so do parts of `preparation`. A migration fails, too, if it has not ended within `limit_seconds`.
    """
    opened = connect()
    opened.autocommit = False
    engine = create_engine("postgresql+psycopg2://", creator=lambda: opened, poolclass=NullPool)
    deadline = time.monotonic() + limit_seconds
    try:
        with engine.connect() as connection:
            _end_statements_at(deadline, connection)
            _wait_for_other_deployments(connection)
            return _try_until(
                deadline, connection, lambda: _migrate(connection, revision, app_role=app_role, host_tables=host_tables)
            )
    except (SQLAlchemyError, psycopg2.Error, TimeoutError) as error:
        name = _name(error)
        failure = MigrationFailed(name)
        if time.monotonic() >= deadline:
            failure = MigrationFailed(
                f"the migration has not ended within {limit_seconds:.0f} s: another transaction keeps a lock, or a "
                f"statement takes too long ({name}). What is done stays, and the next migration goes on from there."
            )
        logger.error("migration failed", error=str(failure), stack=stack(error))
        raise failure from None


def _end_statements_at(deadline: float, connection: AlchemyConnection) -> None:
    """Have PostgreSQL cancel a statement at the deadline. Later ones raise TimeoutError."""

    @event.listens_for(connection, "before_cursor_execute")
    def limit(_connection: object, cursor: Any, *_: object) -> None:  # noqa: ANN401 (SQLAlchemy's)
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        cursor.execute("SET statement_timeout = %s", [math.ceil(remaining * 1000)])


def _wait_for_other_deployments(connection: AlchemyConnection) -> None:
    """Take the lock of deployments, which the end of the connection releases.

    It polls, since a statement that waited for the lock would hold a snapshot. The deployment that has the lock may be
    building an index CONCURRENTLY, which waits for all older snapshots.
    """
    while not connection.scalar(text("SELECT pg_catalog.pg_try_advisory_lock(:lock)"), {"lock": _DEPLOYMENT_LOCK}):
        connection.rollback()
        time.sleep(_LOCK_POLL_SECONDS)
    connection.commit()


def _try_until[T](deadline: float, connection: AlchemyConnection, migrate: Callable[[], T]) -> T:
    """Retry while other transactions have the locks, after pauses in which the main app can read and write."""
    pauses = chain((1, 2, 4, 8, 16), repeat(30))
    while True:
        try:
            return migrate()
        except OperationalError as error:
            if not isinstance(error.orig, _LOCKED):
                raise
            connection.rollback()
            pause, remaining = next(pauses), deadline - time.monotonic()
            logger.warning("another transaction has a lock that the migration needs", error=_name(error), pause=pause)
            time.sleep(max(0, min(pause, remaining)))
            if remaining <= pause:
                raise


def _migrate(connection: AlchemyConnection, revision: str, *, app_role: str | None, host_tables: bool) -> str | None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    connection.execute(text(SETTINGS))
    connection.commit()
    current = _revision(connection)
    if current not in {None, *_known(config)}:
        logger.warning("the database is of a later release; nothing is migrated", revision=current)
        return current
    others.refuse_open_schemas(connection)
    if host_tables:
        connection.exec_driver_sql(_HOST_TABLES.read_text())
        connection.commit()
    if current is None or current < preparation.LAST_PREPARED:
        preparation.prepare(connection, current)
    command.upgrade(config, revision)
    try:
        run_missing(connection, _RIGHT_TO_LOCK, {}, failing="no account can be locked")
        if app_role:
            serving_role.let_serve(connection, app_role)
    finally:
        others.shut_out(connection)
    return _revision(connection)


def _revision(connection: AlchemyConnection) -> str | None:
    """Read the revision without alembic, which would call operators before `others` has checked who made them."""
    exists = text("SELECT pg_catalog.to_regclass('after_hours_alembic_version') IS NOT NULL")
    read = text("SELECT version_num FROM after_hours_alembic_version")
    current = connection.scalar(read) if connection.scalar(exists) else None
    connection.rollback()
    return current


def _known(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def _name(error: BaseException) -> str:
    while isinstance(error, PendingRollbackError) and error.__context__:
        error = error.__context__  # the error that broke the transaction: a lost connection, say
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg2.Error):
        return type(cause).__name__
    if cause.pgcode is None:
        return f"{type(cause).__name__}: the connection broke"
    names = {"table": cause.diag.table_name, "constraint": cause.diag.constraint_name}
    return ", ".join(
        [f"{type(cause).__name__} {cause.pgcode}"] + [f"{kind} {name}" for kind, name in names.items() if name]
    )
