"""What 0001 does by now, for a database that passed it when it only made tables that did not exist."""

from migrations import earlier_backend

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    earlier_backend.make_to_fit()
