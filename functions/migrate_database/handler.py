from typing import Any

from after_hours.entrypoints import jobs
from after_hours.foundation import clients, secrets, settings
from after_hours.foundation.connecting import MIGRATION, open_connection
from after_hours.foundation.database import Database

from migrations.upgrade import upgrade


@jobs.job(clients.secrets_manager)
def handler(event: dict[str, Any], database: Database) -> dict[str, object]:  # noqa: ARG001 (it needs a connection of its own)
    """Bring the database to the newest revision. Every deployment invokes it, before new code takes traffic."""
    revision = upgrade(
        lambda: open_connection(secrets.database_login, MIGRATION),
        app_role=settings.optional("DATABASE_APP_ROLE"),
        host_tables=settings.optional("DATABASE_HOST_TABLES") == "create",
    )
    return {"revision": revision}
