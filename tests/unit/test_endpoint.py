"""mypy refuses an endpoint whose handler takes another body than the endpoint declares.

`make lint` runs mypy with warn_unused_ignores, so each `type: ignore` below fails it once mypy accepts the line.
"""

from after_hours import api
from after_hours.preferences import CreatePreferences
from after_hours.profiles import CreateProfile


def takes_a_profile(request: api.Request[CreateProfile]) -> api.Response:
    return api.ok(given=request.body.description is not None)


def takes_nothing(request: api.Request[None]) -> api.Response:
    return api.ok(given=request.body is not None)


def test_a_handler_takes_the_body_that_its_endpoint_declares() -> None:
    assert api.endpoint(body=CreateProfile)(takes_a_profile).body is CreateProfile
    assert api.endpoint()(takes_nothing).body is None
    assert api.endpoint(entitled=False)(takes_nothing).entitled is False


def test_mypy_refuses_any_other() -> None:
    api.endpoint(body=CreatePreferences)(takes_a_profile)  # type: ignore[arg-type]
    api.endpoint(body=CreateProfile)(takes_nothing)  # type: ignore[arg-type]
    api.endpoint()(takes_a_profile)  # type: ignore[arg-type]
