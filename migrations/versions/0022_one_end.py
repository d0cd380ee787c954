"""One function ends sessions, whatever the reason."""

from migrations.statements import from_file

revision, down_revision = "0022", "0021"
upgrade = from_file(__file__)
