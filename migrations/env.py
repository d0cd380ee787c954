"""What alembic runs for a command: the revisions, on the connection of `upgrade`, each in its own transaction."""

from alembic import context

from migrations.upgrade import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
