"""The whole story, from joining to leaving, through the client that openapi-python-client generates."""

import os
import sys
import time

import httpx
from after_hours_client import AuthenticatedClient
from after_hours_client.api.preferences import create_preferences, get_preferences, update_preferences
from after_hours_client.api.profile import (
    create_profile,
    delete_photo,
    delete_profile,
    get_photo,
    get_profile,
    request_photo_upload,
    update_profile,
)
from after_hours_client.api.session import end_session, extend_session, get_session, start_session
from after_hours_client.models import (
    CreatePreferences,
    CreateProfile,
    EndedSessionAnswer,
    ExtendedSessionAnswer,
    ExtendSession,
    ExtendSessionAdditionalMinutes,
    GetSessionAnswer,
    PhotoAnswer,
    PreferencesAnswer,
    PremiumRequired,
    Profile,
    ProfileAnswer,
    ProfileNotFound,
    ProfileRequired,
    SessionAlreadyActive,
    SessionAnswer,
    SessionChanged,
    StartSession,
    StartSessionDuration,
    Unauthorized,
    UpdatePreferences,
    UpdateProfile,
    UploadForm,
    UploadFormAnswer,
    ValidationError,
)

_START = StartSession(duration=StartSessionDuration(15), latitude=40.7411, longitude=-73.9897)
_PHOTO_SECONDS = 300


def expect[Kind](answer: object, kind: type[Kind]) -> Kind:
    """Return an answer as what it should be."""
    if not isinstance(answer, kind):
        sys.exit(f"{kind.__name__} was expected, not {answer}")
    return answer


def client(token: str) -> AuthenticatedClient:
    return AuthenticatedClient(
        os.environ["API_URL"], token, raise_on_unexpected_status=True, timeout=httpx.Timeout(300)
    )


def join(member: AuthenticatedClient) -> None:
    expect(start_session.sync(client=member, body=_START), ProfileRequired)
    new = expect(create_profile.sync(client=member, body=CreateProfile(description=None)), ProfileAnswer)
    assert new.profile.photo_status == "none"
    described = expect(update_profile.sync(client=member, body=UpdateProfile(description="late ramen")), ProfileAnswer)
    assert described.profile.description == "late ramen"
    expect(create_preferences.sync(client=member, body=CreatePreferences(max_distance_km=None)), PreferencesAnswer)
    update = UpdatePreferences(max_distance_km=25, sexual_orientation=None)
    changed = expect(update_preferences.sync(client=member, body=update), PreferencesAnswer).preferences
    assert expect(get_preferences.sync(client=member), PreferencesAnswer).preferences == changed
    crossed = update_preferences.sync(client=member, body=UpdatePreferences(min_age=99, max_age=18))
    assert [error.field for error in expect(crossed, ValidationError).errors] == ["maxAge"]


def show(member: AuthenticatedClient, photo: bytes) -> Profile:
    upload: UploadForm = expect(request_photo_upload.sync(client=member), UploadFormAnswer).upload
    fields = upload.fields.to_dict() | {"Content-Type": "image/jpeg"}
    httpx.post(upload.url, data=fields, files={"file": photo}, timeout=300).raise_for_status()
    deadline = time.monotonic() + _PHOTO_SECONDS
    while (shown := expect(get_photo.sync(client=member), PhotoAnswer).photo).status in {"pending", "processing"}:
        assert time.monotonic() < deadline, shown
        time.sleep(0.5)
    assert (shown.photo_id, shown.status, shown.reason) == (upload.photo_id, "ready", None)
    assert shown.photo_url
    assert httpx.get(shown.photo_url).content.startswith(b"\xff\xd8")
    return expect(get_profile.sync(client=member), ProfileAnswer).profile


def go_live(member: AuthenticatedClient) -> None:
    session = expect(start_session.sync(client=member, body=_START), SessionAnswer).session
    now = expect(get_session.sync(client=member), GetSessionAnswer)
    assert now.session
    assert (now.active, now.session.id) == (True, session.id)
    assert expect(start_session.sync(client=member, body=_START), SessionAlreadyActive).session.id == session.id
    more = ExtendSession(additional_minutes=ExtendSessionAdditionalMinutes(30), expires_at=session.expires_at)
    extended = expect(extend_session.sync(client=member, body=more), ExtendedSessionAnswer).session
    assert (extended.extended_by_minutes, extended.duration_minutes) == (30, 45)
    assert expect(extend_session.sync(client=member, body=more), SessionChanged).session.duration_minutes == 45
    assert expect(end_session.sync(client=member), EndedSessionAnswer).session.ended_at <= extended.expires_at
    assert expect(get_session.sync(client=member), GetSessionAnswer).session is None


def leave(member: AuthenticatedClient) -> None:
    assert delete_photo.sync_detailed(client=member).status_code == 204
    assert delete_profile.sync_detailed(client=member).status_code == 204
    expect(get_profile.sync(client=member), ProfileNotFound)


def main() -> None:
    member = client(os.environ["TOKEN"])
    expect(get_session.sync(client=client("no token")), Unauthorized)
    expect(get_session.sync(client=client(os.environ["TOKEN_NO_PREMIUM"])), PremiumRequired)
    join(member)
    assert show(member, bytes.fromhex(os.environ["PHOTO"])).photo_status == "ready"
    go_live(member)
    leave(member)
    sys.stdout.write("The story is told.\n")


if __name__ == "__main__":
    main()
