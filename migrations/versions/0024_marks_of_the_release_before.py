"""Say of each column and index that only the release before uses them."""

from migrations.statements import from_file

revision, down_revision = "0024", "0023"
upgrade = from_file(__file__)
