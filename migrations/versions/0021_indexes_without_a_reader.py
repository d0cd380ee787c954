"""Indexes that no statement uses go."""

from migrations.statements import outside_a_transaction

revision, down_revision = "0021", "0020"
upgrade = outside_a_transaction(__file__)
