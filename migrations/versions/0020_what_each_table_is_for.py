"""A comment for each table, column and index; docs/schema.sql shows them."""

from migrations.statements import from_file

revision, down_revision = "0020", "0019"
upgrade = from_file(__file__)
