"""`make demo`: the whole story of an After Hours session, played against the running system, each step checked."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from tools.local import forms, members, photo
from tools.local.members import Member
from tools.local.page.backstage import Backstage, Moment
from tools.local.progress import Progress, clock
from tools.local.stack import Stack
from tools.local.workspace import CommandError, Workspace

_START = {"duration": 15, "latitude": 40.7411, "longitude": -73.9897}
_REFUSALS = {
    "noPremium": "PREMIUM_REQUIRED",
    "unverified": "VERIFICATION_REQUIRED",
    "noConsent": "CONSENT_REQUIRED",
}
_PROMISED_SECONDS = 300  # for a photo to be ready, and for an end to be noted
_LOGGED_SECONDS = 20
_ATTEMPTS = 3  # the sweep, which comes every minute, may end a session before the schedule does


class Demo:
    """One performance, by a member of its own who is removed afterwards: the seeded members stay as they were."""

    def __init__(self, stack: Stack, progress: Progress) -> None:
        self._stack = stack
        self._backstage = Backstage(stack)
        self._say = progress
        self._robin = Member(f"demo-{uuid4()}", "Robin", 27, "Female", "Straight")
        self._token = stack.token(self._robin.id)

    def play(self) -> None:
        """Play all of it. Raises CommandError at the first thing that is not as promised."""
        with closing(self._stack.connect()) as connection:
            members.save(connection, self._robin)
        try:
            self._join()
            self._show_a_photo()
            self._go_live()
            for _ in range(_ATTEMPTS):
                if self._is_ended_by_its_schedule():
                    break
                self._say("  the sweep came first this time, and is meant to: once more, with a new session")
            else:
                raise CommandError(f"Not as promised: in {_ATTEMPTS} sessions, none was ended by its schedule")
            self._leave()
        finally:
            self._stack.call("DELETE", "/profile", token=self._token)  # an unfinished demo leaves nothing behind either
            with closing(self._stack.connect()) as connection:
                members.remove(connection, self._robin)

    def _join(self) -> None:
        self._say("Robin, 27, subscribed, verified and consenting, opens After Hours. Others may not:")
        self._ask("GET /session", 200)
        for name, code in _REFUSALS.items():
            self._ask("GET /session", 403, code, token=self._stack.users[name].token)
        self._say("Going live needs a profile. The main app's profile gives name, age and whom to show:")
        self._ask("POST /session/start", 400, "PROFILE_REQUIRED", body=_START)
        self._ask("POST /profile", 201, body={"description": "One demo, then home"})
        preferences = self._ask("POST /preferences", 201, body={"maxAge": 35})["preferences"]
        _expect(preferences["seekingGender"] == "Male", "a field that is not sent comes from the main profile")

    def _show_a_photo(self) -> None:
        taken = photo.take()
        self._say(
            f"Robin takes a photo. The phone stores it lying on its side, and notes the place: {photo.described(taken)}"
        )
        upload = self._ask("POST /profile/photo", 201)["upload"]
        _expect(forms.post(upload["url"], upload["fields"], taken) in {200, 204}, "S3 takes the photo")
        shown = _wait_for("the photo is made within five minutes", self._settled_photo)
        _expect(shown["status"] == "ready", f"the photo is ready; it is {shown['status']} {shown['reason']}")
        for name, size in (("photoUrl", (900, 1200)), ("thumbnailUrl", (200, 200))):
            made = photo.described(photo.fetch(shown[name]))
            clean = {"EXIF": 0, "GPS": 0, "other metadata": [], "size": size}
            _expect(clean.items() <= made.items(), f"{name} is upright, small and clean: {made}")
            self._say(f"  {name}: {made}")

    def _settled_photo(self) -> dict[str, Any] | None:
        now: dict[str, Any] = self._stack.call("GET", "/profile/photo", token=self._token).body["photo"]
        return None if now["status"] in photo.WAITING else now

    def _go_live(self) -> None:
        session = self._start()
        scheduled = self._behind()["schedules"]
        extended = self._ask("POST /session/extend", 200, body={"additionalMinutes": 30})["session"]
        _expect(self._behind()["schedules"] != scheduled, "extending moves the schedules")
        second = self._ask("POST /session/start", 409, "SESSION_ALREADY_ACTIVE", body=_START)["session"]
        ended = self._ask("POST /session/end", 200)["session"]
        same = {each["id"] for each in (session, extended, second, ended)}
        _expect(len(same) == 1, "it is one session, from its start to its end, and a second start names it")

    def _is_ended_by_its_schedule(self) -> bool:
        """Let a session run out. Return whether its schedule ended it, and not the sweep."""
        session_id = self._start()["id"]
        for schedule in self._behind()["schedules"]:
            self._say(f"  EventBridge Scheduler holds {schedule['name']}: {schedule['expression']}")
        self._backstage.let_time_pass(UUID(session_id), Moment.END)
        expires_at = datetime.fromisoformat(self._behind()["expiresAt"])
        self._say(f"  its end is now near, as if time had passed: {expires_at.astimezone():%H:%M:%S}. No call ends it.")
        time.sleep(max(0, (expires_at - datetime.now(UTC)).total_seconds()))
        _expect(self._ask("GET /session", 200)["active"] is False, "it is over in time, before anything has closed it")
        _wait_for("the session is closed", lambda: self._behind()["shownPlace"] is None)
        _expect(self._behind()["endsAt"] == self._behind()["expiresAt"], "the session ended when it was due")
        outcome = {"kind": "expiry", "sessionId": session_id, "outcome": "expired"}
        try:
            _wait_for("", lambda: outcome in self._outcomes_of_expiry(expires_at), seconds=_LOGGED_SECONDS)
        except CommandError:
            return False
        self._say(f"  closed by the schedule: the log of expire_session says\n    {json.dumps(outcome)}")
        _wait_for("the schedules have deleted themselves", lambda: not self._behind()["schedules"])
        return True

    def _outcomes_of_expiry(self, since: datetime) -> list[Any]:
        lines, _duration = self._backstage.log_of_last_call("expire_session", since)
        return [line.entry.get("outcome") for line in lines]

    def _leave(self) -> None:
        self._start()
        addresses = self._ask("GET /profile", 200)["profile"]
        self._say("Robin leaves, live as they are. No profile, session, schedule or photo remains:")
        self._ask("DELETE /profile", 204)
        self._ask("GET /profile", 404, "PROFILE_NOT_FOUND")
        _expect(self._ask("GET /session", 200)["active"] is False, "the session is over")
        _expect(not self._behind()["schedules"], "no schedule remains")
        for name in ("photoUrl", "thumbnailUrl"):
            _expect(photo.is_gone(addresses[name]), f"{name} leads nowhere any more")

    def _start(self) -> dict[str, Any]:
        self._say("Robin goes live for 15 minutes:")
        session: dict[str, Any] = self._ask("POST /session/start", 201, body=_START)["session"]
        return session

    def _behind(self) -> dict[str, Any]:
        """Return Robin's newest session as database and scheduler have it."""
        session: dict[str, Any] = self._backstage.state(self._robin.id)["session"]
        return session

    def _ask(
        self, call: str, status: int, code: str | None = None, *, token: str | None = None, body: object = None
    ) -> Any:  # noqa: ANN401 (any JSON)
        """Call the API, as Robin if no token is given, and say so. Return the body.

        Raises CommandError when the answer has another status or code.
        """
        method, path = call.split()
        answer = self._stack.call(method, path, token=token or self._token, body=body)
        answered = answer.body.get("code") if isinstance(answer.body, dict) else None
        promise = f"{call}: {status} {code or ''}".rstrip()
        _expect((answer.status, answered) == (status, code), f"{promise}; it is {answer.status} {answer.body}")
        self._say(f"  {promise}")
        return answer.body


def _expect(holds: object, promise: str) -> None:
    if not holds:
        raise CommandError(f"Not as promised: {promise}")


def _wait_for[T](promise: str, look: Callable[[], T | None], *, seconds: float = _PROMISED_SECONDS) -> T:
    """Return what `look` finds, as soon as it finds something. Raises CommandError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        _expect(time.monotonic() < deadline, promise)
        time.sleep(0.5)
    return found


def demo(workspace: Workspace) -> None:
    """`make demo`: play the whole story against the running system."""
    say = clock()
    Demo(Stack.load(workspace), say).play()
    say("All as promised.")
