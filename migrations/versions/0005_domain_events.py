"""The outbox: what happened, written with the change, until the event bus has it."""

from alembic import op

revision = "0005"
down_revision = "0004"

OUTBOX = """
CREATE TABLE after_hours_domain_events (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    type TEXT NOT NULL,
    detail JSONB NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX after_hours_domain_events_occurred ON after_hours_domain_events (occurred_at);
"""


def upgrade() -> None:
    op.execute(OUTBOX)
