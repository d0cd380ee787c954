"""The settings that a deployment gives a function in its environment.

No other module reads them; boto3 reads the variables that Lambda and AWS's own tools define. A setting is read on first
use, so a function needs only the settings that it uses. An error names the missing one.
"""

import os
from typing import Literal

from after_hours.foundation.faults import Misconfigured

type Setting = Literal[
    "DATABASE_SECRET_ARN",
    "JWT_SECRET_ARN",
    "LOCATION_SECRET_ARN",
    "R2_SECRET_ARN",
    "SCHEDULE_GROUP",
    "SCHEDULER_ROLE_ARN",
    "EXPIRE_FUNCTION_ARN",
    "SCHEDULE_DEAD_LETTER_ARN",
    "EVENT_BUS",
    "UPLOAD_BUCKET",
]
type OptionalSetting = Literal[
    "DATABASE_HOST",
    "DATABASE_PORT",
    "DATABASE_NAME",
    "DATABASE_IAM_USER",  # the role to connect as with an IAM token; a stack that sets it has no database secret
    "DATABASE_APP_ROLE",  # for migrate_database: the role that serves requests, where that is not the owner
    "DATABASE_HOST_TABLES",  # for migrate_database: `create` in a database where no main app has made its tables
]


def required(name: Setting) -> str:
    """Return a setting that the function needs. Raises `Misconfigured` with its name.

    For example, where the environment has EVENT_BUS=after-hours:
    >>> required("EVENT_BUS")
    'after-hours'
    """
    if value := os.environ.get(name):
        return value
    raise Misconfigured(f"{name} is not set in the environment")


def optional(name: OptionalSetting) -> str | None:
    """Return a setting; None when it is absent or empty."""
    return os.environ.get(name) or None
