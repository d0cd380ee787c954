"""Revisions whose statements are in a `.sql` file of the same name, beside them."""

from collections.abc import Callable
from pathlib import Path

from alembic import op


def from_file(revision: str) -> Callable[[], None]:
    """Return the `upgrade` of the revision with this `__file__`: its statements, in the revision's transaction."""

    def upgrade() -> None:
        _run(_text(revision))

    return upgrade


def outside_a_transaction(revision: str) -> Callable[[], None]:
    """Return the `upgrade` of a revision that works CONCURRENTLY. Each paragraph of its file is one statement."""

    def upgrade() -> None:
        with op.get_context().autocommit_block():
            for statement in _text(revision).split("\n\n"):
                _run(statement)

    return upgrade


def _text(revision: str) -> str:
    return Path(revision).with_suffix(".sql").read_text()


def _run(statements: str) -> None:
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})  # a % is no placeholder
