"""mypy refuses an endpoint whose handler takes another body than the endpoint declares, or another thing than it reads.

`make lint` runs mypy with warn_unused_ignores, so each `type: ignore` below fails it once mypy accepts the line.
"""

from after_hours import api, preferences, profiles, sessions
from after_hours.preferences import CreatePreferences
from after_hours.profiles import CreateProfile, Profile
from after_hours.sessions import Session


def takes_a_profile(request: api.Request[CreateProfile]) -> api.Response:
    return api.ok(given=request.body.description is not None)


def takes_nothing(request: api.Request[None]) -> api.Response:
    return api.ok(given=request.body is not None)


def shows_a_profile(profile: Profile) -> api.Response:
    return api.ok(profile=profile)


def shows_a_session(session: Session) -> api.Response:
    return api.ok(session=session)


def test_a_handler_takes_the_body_that_its_endpoint_declares() -> None:
    assert api.endpoint(body=CreateProfile)(takes_a_profile).body is CreateProfile
    assert api.endpoint()(takes_nothing).body is None
    assert api.endpoint(entitled=False)(takes_nothing).entitled is False


def test_mypy_refuses_any_other() -> None:
    api.endpoint(body=CreatePreferences)(takes_a_profile)  # type: ignore[arg-type]
    api.endpoint(body=CreateProfile)(takes_nothing)  # type: ignore[arg-type]
    api.endpoint()(takes_a_profile)  # type: ignore[arg-type]
    api.endpoint(body=CreateProfile)(shows_a_profile)  # type: ignore[arg-type]


def test_a_handler_takes_what_its_endpoint_reads() -> None:
    read = api.endpoint(read=profiles.read)(shows_a_profile)
    assert read.body is None
    assert read.entitled is True


def test_mypy_refuses_a_handler_of_anything_else() -> None:
    api.endpoint(read=preferences.read)(shows_a_profile)  # type: ignore[arg-type]
    api.endpoint(read=sessions.current)(shows_a_session)  # type: ignore[arg-type]  # there may be none
    api.endpoint(read=profiles.read)(takes_nothing)  # type: ignore[arg-type]
    api.endpoint()(shows_a_profile)  # type: ignore[arg-type]


def test_mypy_refuses_a_read_with_a_body_or_without_the_access_check() -> None:
    api.endpoint(read=profiles.read, entitled=False)  # type: ignore[call-overload]
    api.endpoint(read=profiles.read, body=CreateProfile)  # type: ignore[call-overload]
