"""What alembic runs for a command: the revisions, on the connection (and in the transaction) of `upgrade`."""

from alembic import context

from migrations.upgrade import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
