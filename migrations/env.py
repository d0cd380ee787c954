"""What alembic runs for a command: the revisions, on the connection of `upgrade`, each in its own transaction."""

from alembic import context
from sqlalchemy import text

from migrations.upgrade import SETTINGS, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transaction_per_migration=True,
    # Revisions that build indexes leave the connection without a limit of waits for locks.
    on_version_apply=lambda *, ctx, **_: ctx.connection.execute(text(SETTINGS)),
)
with context.begin_transaction():
    context.run_migrations()
