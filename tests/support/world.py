"""The database that stands behind the functions, for tests that are functions themselves or let leases run out."""

from collections.abc import Callable
from typing import Any

from after_hours import config
from after_hours.database import Database

from local import postgres


def own_database(server: postgres.Database) -> Database:
    """A connection of one's own, for tests with threads."""
    return Database(lambda **_: config.DatabaseSecret.model_validate(server.secret))


def leases_over(rows: Callable[..., Any]) -> None:
    """As if whoever made a change had had the time to do what follows it, and had not."""
    rows("UPDATE after_hours_removals SET due_at = now() WHERE due_at < now() + interval '11 minutes'")
    rows("UPDATE after_hours_domain_events SET due_at = now()")
    rows("UPDATE after_hours_sessions SET schedule_due_at = now()")
