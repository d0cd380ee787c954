from typing import Any
from urllib.parse import unquote_plus

from after_hours.entrypoints import jobs
from after_hours.foundation import clients
from after_hours.foundation.database import Database
from after_hours.members import uploads
from aws_lambda_powertools.utilities.data_classes import S3Event


@jobs.job(clients.secrets_manager, clients.uploads, clients.event_bus)
def handler(event: dict[str, Any], database: Database) -> dict[str, object]:
    """Invoked by S3 for each object that arrives in the upload bucket."""
    objects = [record.s3.get_object for record in S3Event(event).records]
    return {"outcomes": [uploads.process(database, unquote_plus(each.key), each.size) for each in objects]}
