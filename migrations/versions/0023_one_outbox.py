"""One transactional outbox for all that must follow a change, and one function that ends sessions.

The release before goes on with its own functions and tables; the tables are views of the outbox for it.
"""

from migrations.statements import from_file

revision, down_revision = "0023", "0022"
upgrade = from_file(__file__)
