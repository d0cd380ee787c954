from typing import Any

from after_hours import config, jobs
from after_hours.database import Database, connect

from migrations.upgrade import upgrade


@jobs.job
def handler(event: dict[str, Any], database: Database) -> dict[str, object]:  # noqa: ARG001 (it needs a connection of its own)
    """Bring the database to the newest revision. Every deployment invokes it, before new code takes traffic."""
    return {"revision": upgrade(lambda: connect(config.database_secret.read(), patience_seconds=None))}
