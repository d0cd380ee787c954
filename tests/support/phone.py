"""A member's phone: what the app does, as calls of the functions' handlers with the events of API Gateway."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from after_hours.members.photos import Photo
from after_hours.members.preferences import Preferences
from after_hours.members.profiles import Profile
from after_hours.members.sessions import EndedSession, ExtendedSession, Session
from after_hours.members.uploads import UploadForm
from pydantic import BaseModel

from tests.support.environment import JWT_SECRET
from tests.support.handlers import Answer, http_event, send
from tools.local import members
from tools.local.forms import post
from tools.pictures.files import corners, encoded, exif

JPEG = encoded(corners((1600, 1200)), exif=exif(), quality=92)
LATITUDE, LONGITUDE = 52.520008, 13.404954
START = {
    "duration": 30,
    "latitude": LATITUDE,
    "longitude": LONGITUDE,
    "deviceFingerprint": {"deviceId": "device-4711"},
}


class Refused(Exception):
    """The API refused a call. Its text is status and code, as `409 SESSION_CHANGED`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body['code']}")
        self.answer = answer

    @property
    def session(self) -> Session:
        """The live session that the refusal came with."""
        return _read(Session, self.answer.body["session"])

    @property
    def retry_after(self) -> int:
        """Seconds."""
        return int(self.answer.headers["retry-after"])


def refused(reason: str) -> pytest.RaisesExc[Refused]:
    """Expect a refusal: `with refused("404 NO_ACTIVE_SESSION"): phone.end()`."""
    return pytest.raises(Refused, match=f"^{reason}$")


def _read[M: BaseModel](model: type[M], body: Any) -> M:
    return model.model_validate(body, by_alias=True, by_name=False)


@dataclass(frozen=True)
class Phone:
    """The phone of one of the five members. Its calls succeed, or raise `Refused`; `call` alone returns any answer."""

    who: str = "entitled"

    @property
    def id(self) -> str:
        return members.SEEDED[self.who].id

    @property
    def token(self) -> str:
        return members.token(self.id, JWT_SECRET)

    def call(self, function: str, *, body: Any = None, **overrides: Any) -> Answer:
        """Call an endpoint's handler, whatever it answers."""
        return send(function, http_event(token=self.token, body=body, **overrides))

    def _ask(self, function: str, body: Any = None) -> Any:
        answer = self.call(function, body=body)
        if answer.status >= 400:
            raise Refused(answer)
        return answer.body

    # Profile and preferences

    def create_profile(self, **fields: Any) -> Profile:
        return _read(Profile, self._ask("create_profile", fields)["profile"])

    def profile(self) -> Profile:
        return _read(Profile, self._ask("get_profile")["profile"])

    def update_profile(self, **fields: Any) -> Profile:
        return _read(Profile, self._ask("update_profile", fields)["profile"])

    def leave(self) -> None:
        self._ask("delete_profile")

    def create_preferences(self, **fields: Any) -> Preferences:
        return _read(Preferences, self._ask("create_preferences", fields)["preferences"])

    def preferences(self) -> Preferences:
        return _read(Preferences, self._ask("get_preferences")["preferences"])

    def update_preferences(self, **fields: Any) -> Preferences:
        return _read(Preferences, self._ask("update_preferences", fields)["preferences"])

    # Sessions

    def start(self, **fields: Any) -> Session:
        """Go live for 30 minutes at one place in Berlin, if nothing else is said."""
        return _read(Session, self._ask("start_session", START | fields)["session"])

    def session(self) -> Session | None:
        answer = self._ask("get_session")
        assert answer["active"] is (answer["session"] is not None)
        return _read(Session, answer["session"]) if answer["active"] else None

    def extend(self, minutes: int = 15, **fields: Any) -> ExtendedSession:
        return _read(ExtendedSession, self._ask("extend_session", {"additionalMinutes": minutes, **fields})["session"])

    def end(self) -> EndedSession:
        return _read(EndedSession, self._ask("end_session")["session"])

    # Photos

    def request_upload(self) -> UploadForm:
        return _read(UploadForm, self._ask("request_photo_upload")["upload"])

    def send(self, content: bytes = JPEG, content_type: str = "image/jpeg") -> UUID:
        """Ask for an upload, and post the file with the form. The photo's id."""
        form = self.request_upload()
        assert post(form.url, form.fields, content, **{"Content-Type": content_type}) in {200, 204}
        return form.photo_id

    def photo(self) -> Photo:
        """The newest upload."""
        return _read(Photo, self._ask("get_photo")["photo"])

    def shown(self) -> UUID | None:
        """The id of the photo that the profile shows."""
        url = self.profile().photo_url
        return UUID(urlsplit(url).path.rsplit("/", 1)[1].removesuffix(".jpg")) if url else None

    def delete_photo(self) -> None:
        self._ask("delete_photo")
