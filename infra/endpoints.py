"""The HTTP API as a table. Infrastructure, tests and local tools all read it here; a new endpoint is a new row.

A row's function lives in `functions/<function>/handler.py`. Nothing here needs the CDK.
"""

from dataclasses import dataclass

PREFIX = "/api/after-hours"


@dataclass(frozen=True)
class Endpoint:
    """One route of the API and the one function that answers it; the path is relative to PREFIX."""

    method: str
    path: str
    function: str


ENDPOINTS = (
    Endpoint("POST", "/profile", "create_profile"),
    Endpoint("GET", "/profile", "get_profile"),
    Endpoint("PATCH", "/profile", "update_profile"),
    Endpoint("DELETE", "/profile", "delete_profile"),
    Endpoint("POST", "/profile/photo", "request_photo_upload"),
    Endpoint("GET", "/profile/photo", "get_photo"),
    Endpoint("DELETE", "/profile/photo", "delete_photo"),
    Endpoint("POST", "/preferences", "create_preferences"),
    Endpoint("GET", "/preferences", "get_preferences"),
    Endpoint("PATCH", "/preferences", "update_preferences"),
    Endpoint("POST", "/session/start", "start_session"),
    Endpoint("POST", "/session/end", "end_session"),
    Endpoint("POST", "/session/extend", "extend_session"),
    Endpoint("GET", "/session", "get_session"),
)
