from typing import Any

from after_hours import clients, config, jobs
from after_hours.database import MIGRATION, Database, open_connection

from migrations.upgrade import upgrade


@jobs.job(clients.secrets_manager)
def handler(event: dict[str, Any], database: Database) -> dict[str, object]:  # noqa: ARG001 (it needs a connection of its own)
    """Bring the database to the newest revision. Every deployment invokes it, before new code takes traffic."""
    revision = upgrade(
        lambda: open_connection(config.database_access, MIGRATION),
        app_role=config.optional("DATABASE_APP_ROLE"),
        host_tables=config.optional("DATABASE_HOST_TABLES") == "create",
    )
    return {"revision": revision}
