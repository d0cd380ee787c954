"""mypy refuses an endpoint whose handler takes another body than the endpoint declares, or another thing than it reads.

`make lint` runs mypy with warn_unused_ignores, so each `type: ignore` below fails it once mypy accepts the line. The
handlers in functions/ show what mypy accepts.
"""

from after_hours.entrypoints import api
from after_hours.entrypoints.schema import QueryModel
from after_hours.members import preferences, profiles, sessions
from after_hours.members.preferences import CreatePreferences
from after_hours.members.profiles import CreateProfile, Profile
from after_hours.members.sessions import Session


def takes_a_profile(request: api.Request[CreateProfile]) -> api.Members:
    return {"given": request.body.description is not None}


def takes_nothing(request: api.Request[None]) -> api.Members:
    return {"given": request.body is not None}


def shows_a_profile(profile: Profile) -> api.Members:
    return {"profile": profile}


def shows_a_session(session: Session) -> api.Members:
    return {"session": session}


class Page(QueryModel):
    limit: int


def test_mypy_refuses_any_other() -> None:
    api.endpoint(body=CreatePreferences)(takes_a_profile)  # type: ignore[arg-type]
    api.endpoint(body=CreateProfile)(takes_nothing)  # type: ignore[arg-type]
    api.endpoint()(takes_a_profile)  # type: ignore[arg-type]
    api.endpoint(body=CreateProfile)(shows_a_profile)  # type: ignore[arg-type]
    api.endpoint(read=preferences.read)(shows_a_profile)  # type: ignore[arg-type]
    api.endpoint(read=sessions.current)(shows_a_session)  # type: ignore[arg-type]  # there may be none
    api.endpoint(read=profiles.read)(takes_nothing)  # type: ignore[arg-type]
    api.endpoint()(shows_a_profile)  # type: ignore[arg-type]


def test_mypy_refuses_a_query_where_nothing_is_read_and_a_read_with_a_body_or_without_the_access_check() -> None:
    api.endpoint(query=Page)  # type: ignore[call-overload]
    api.endpoint(body=CreateProfile, query=Page)  # type: ignore[call-overload]
    api.endpoint(read=profiles.read, entitled=False)  # type: ignore[call-overload]
    api.endpoint(read=profiles.read, body=CreateProfile)  # type: ignore[call-overload]
