"""The HTTP API as a table, for infrastructure, tests and local tools; a new endpoint is a new row.

A row's function is in `functions/<function>/handler.py`. This module does not import the CDK.
"""

from dataclasses import dataclass
from enum import Enum

PREFIX = "/api/after-hours"


class Secret(Enum):
    """A secret of ours; its value is the environment variable with its ARN. Every endpoint reads the JWT key."""

    JWT = "JWT_SECRET_ARN"
    LOCATION = "LOCATION_SECRET_ARN"
    R2 = "R2_SECRET_ARN"


class Right(Enum):
    """A right on AWS of an endpoint's function. Each function may also log, and read its secrets."""

    MOVE_SCHEDULES = "create and update schedules of sessions"
    DELETE_SCHEDULES = "delete schedules of sessions"
    PUBLISH = "put domain events on the bus"
    SIGN_UPLOADS = "sign forms that put an object into the upload bucket"
    DELETE_UPLOADS = "delete objects of the upload bucket"


@dataclass(frozen=True)
class Endpoint:
    """One route of the API, its function, and the function's rights; the path is relative to PREFIX."""

    method: str
    path: str
    function: str
    may: tuple[Right, ...] = ()
    reads: tuple[Secret, ...] = ()

    @property
    def route_key(self) -> str:
        """The route's key in API Gateway."""
        return f"{self.method} {PREFIX}{self.path}"


ENDPOINTS = (
    Endpoint("POST", "/profile", "create_profile"),
    Endpoint("GET", "/profile", "get_profile", reads=(Secret.R2,)),
    Endpoint("PATCH", "/profile", "update_profile", reads=(Secret.R2,)),
    Endpoint(
        "DELETE",
        "/profile",
        "delete_profile",
        may=(Right.DELETE_SCHEDULES, Right.PUBLISH, Right.DELETE_UPLOADS),
        reads=(Secret.R2,),
    ),
    Endpoint("POST", "/profile/photo", "request_photo_upload", may=(Right.SIGN_UPLOADS,)),
    Endpoint("GET", "/profile/photo", "get_photo", reads=(Secret.R2,)),
    Endpoint("DELETE", "/profile/photo", "delete_photo", may=(Right.DELETE_UPLOADS,), reads=(Secret.R2,)),
    Endpoint("POST", "/preferences", "create_preferences"),
    Endpoint("GET", "/preferences", "get_preferences"),
    Endpoint("PATCH", "/preferences", "update_preferences"),
    Endpoint(
        "POST",
        "/session/start",
        "start_session",
        may=(Right.MOVE_SCHEDULES, Right.PUBLISH),
        reads=(Secret.LOCATION,),
    ),
    Endpoint("POST", "/session/end", "end_session", may=(Right.DELETE_SCHEDULES, Right.PUBLISH)),
    Endpoint("POST", "/session/extend", "extend_session", may=(Right.MOVE_SCHEDULES, Right.PUBLISH)),
    Endpoint("GET", "/session", "get_session"),
)
