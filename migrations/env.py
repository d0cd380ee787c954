"""Alembic runs this file for a command: it runs the revisions on the connection of `upgrade`, each in a transaction."""

from alembic import context
from sqlalchemy import text

from migrations.upgrade import SETTINGS, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transaction_per_migration=True,
    # Revisions that build indexes reset the connection's lock_timeout.
    on_version_apply=lambda *, ctx, **_: ctx.connection.execute(text(SETTINGS)),
)
with context.begin_transaction():
    context.run_migrations()
