"""`make demo`: the whole story of an After Hours session, played against the running system, each step checked."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from tools.local import aws, forms, members, photo
from tools.local.members import Member
from tools.local.page.backstage import Backstage, Moment
from tools.local.processes import end_on_any_interruption
from tools.local.progress import Progress, clock
from tools.local.stack import Answer, Stack
from tools.local.workspace import CommandError, command_line, shows_errors

_START = {"duration": 15, "latitude": 40.7411, "longitude": -73.9897}
_REFUSALS = {
    "noPremium": ("has no subscription", "PREMIUM_REQUIRED"),
    "unverified": ("has not shown an ID", "VERIFICATION_REQUIRED"),
    "noConsent": ("has not agreed to After Hours", "CONSENT_REQUIRED"),
}
_MADE_SECONDS = 300
_CLOSED_SECONDS = 300
_LOGGED_SECONDS = 20
_ATTEMPTS = 5  # the sweep, which comes every minute, ends one session in six before the schedule does


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
            self._access()
            self._profile()
            self._photo()
            self._session()
            self._expiry()
            self._leaving()
        finally:
            self._call("DELETE", "/profile")  # an unfinished demo must leave nothing behind either
            with closing(self._stack.connect()) as connection:
                members.remove(connection, self._robin)

    def _access(self) -> None:
        self._say("Robin, 27, subscribed, verified and consenting, opens After Hours.")
        _expect_answer(self._stack.call("GET", "/session"), 401, "UNAUTHORIZED")
        self._say("  without a token: 401")
        for name, (reason, code) in _REFUSALS.items():
            _expect_answer(self._stack.call("GET", "/session", token=self._stack.users[name].token), 403, code)
            self._say(f"  {members.SEEDED[name].name}, who {reason}: 403 {code}")
        _expect(_expect_answer(self._call("GET", "/session"), 200)["active"] is False, "Robin is not live yet")
        self._say("  Robin: 200, and not live yet")

    def _profile(self) -> None:
        _expect_answer(self._call("POST", "/session/start", _START), 400, "PROFILE_REQUIRED")
        self._say("Going live needs a profile: 400 PROFILE_REQUIRED")
        profile = _expect_answer(self._call("POST", "/profile", {"description": "One demo, then home"}), 201)["profile"]
        _expect((profile["name"], profile["age"]) == ("Robin", 27), "name and age come from the main profile")
        self._say(f"Robin writes one: 201, “{profile['description']}”, as {profile['name']}, {profile['age']}")
        preferences = _expect_answer(self._call("POST", "/preferences", {"maxAge": 35}), 201)["preferences"]
        _expect(preferences["seekingGender"] == "Male", "a field that is not sent comes from the main profile")
        self._say(f"  and says whom to show: up to 35, and from the main profile {preferences['seekingGender']}")
        crossed = _expect_answer(self._call("PATCH", "/preferences", {"minAge": 36}), 400, "VALIDATION_ERROR")
        self._say(f"  from 36 on, then? 400 VALIDATION_ERROR: {crossed['errors'][0]['message']}")

    def _photo(self) -> None:
        taken = photo.described(photo.take())
        _expect(taken["GPS"] and not taken["upright"], "the photo lies on its side and tells where it was taken")
        self._say(f"Robin takes a photo. The phone stores it lying on its side, and notes the place: {taken}")
        upload = _expect_answer(self._call("POST", "/profile/photo"), 201)["upload"]
        _expect(forms.post(upload["url"], upload["fields"], photo.take()) in {200, 204}, "S3 takes the photo")
        self._say("  sent straight to S3, with the form that POST /profile/photo signed")
        shown = _wait_for("the photo is made within five minutes", _MADE_SECONDS, self._settled_photo)
        _expect(shown["status"] == "ready", f"the photo is ready; it is {shown['status']} {shown['reason']}")
        for name, size in (("photoUrl", (900, 1200)), ("thumbnailUrl", (200, 200))):
            made = photo.described(photo.fetch(shown[name]))
            clean = {"upright": True, "EXIF": 0, "GPS": 0, "other metadata": [], "size": size}
            _expect(clean.items() <= made.items(), f"{name} is upright, small and clean: {made}")
            self._say(f"  {name}: {made}")
        profile = _expect_answer(self._call("GET", "/profile"), 200)["profile"]
        _expect(profile["photoUrl"] == shown["photoUrl"], "the address stays the same, so that a phone can cache it")
        self._say("  upright, small, and nothing of where it was taken")

    def _settled_photo(self) -> dict[str, Any] | None:
        now: dict[str, Any] = _expect_answer(self._call("GET", "/profile/photo"), 200)["photo"]
        return None if now["status"] in photo.WAITING else now

    def _session(self) -> None:
        session = self._start()
        live = _expect_answer(self._call("GET", "/session"), 200)
        _expect(live["active"] and live["session"]["id"] == session["id"], "the session is live")
        self._say(f"  live: {live['session']['remainingSeconds']} seconds left")
        extended = _expect_answer(self._call("POST", "/session/extend", {"additionalMinutes": 30}), 200)["session"]
        gained = datetime.fromisoformat(extended["expiresAt"]) - datetime.fromisoformat(session["expiresAt"])
        _expect(gained == timedelta(minutes=30), "extending by 30 minutes adds 30 minutes")
        self._say(f"  extended by {extended['extendedByMinutes']} minutes, until {_time(extended['expiresAt'])}")
        second = _expect_answer(self._call("POST", "/session/start", _START), 409, "SESSION_ALREADY_ACTIVE")
        _expect(second["session"]["id"] == session["id"], "the refusal of a second start names the live session")
        self._say("  a second start: 409 SESSION_ALREADY_ACTIVE, with the live session")
        ended = _expect_answer(self._call("POST", "/session/end"), 200)["session"]
        _expect(ended["id"] == session["id"], "the session ended is the one started")
        self._say(f"  ended by Robin at {_time(ended['endedAt'])}")

    def _expiry(self) -> None:
        for _ in range(_ATTEMPTS):
            if self._is_ended_by_its_schedule():
                return
            self._say("  the sweep came first this time, and is meant to: once more, with a new session")
        raise CommandError(f"Not as promised: in {_ATTEMPTS} sessions, none was ended by its schedule")

    def _is_ended_by_its_schedule(self) -> bool:
        """Let a session run out. Return whether its schedule ended it, and not the sweep."""
        session_id = self._start()["id"]
        for schedule in self._behind()["schedules"]:
            self._say(f"  EventBridge Scheduler holds {schedule['name']}: {schedule['expression']}")
        self._backstage.let_time_pass(UUID(session_id), Moment.END)
        expires_at = datetime.fromisoformat(self._behind()["expiresAt"])
        self._say(f"  as if time had passed, its end is near: {_time(expires_at)}. Nobody touches it from here on.")
        while (seconds := (expires_at - datetime.now(UTC)).total_seconds()) > 0:
            self._say(f"    … {seconds:2.0f} seconds left")
            time.sleep(min(seconds, 5))
        _expect(_expect_answer(self._call("GET", "/session"), 200)["active"] is False, "it is over in time")
        self._say("  time is up: GET /session says it is over, even before anything has closed it")
        _wait_for("the session is closed", _CLOSED_SECONDS, lambda: self._behind()["shownPlace"] is None)
        _expect(self._behind()["endsAt"] == self._behind()["expiresAt"], "the session ended when it was due")
        outcome = {"kind": "expiry", "sessionId": session_id, "outcome": "expired"}
        try:
            _wait_for("", _LOGGED_SECONDS, lambda: outcome in self._outcomes_of_expiry(expires_at))
        except CommandError:
            return False
        self._say(f"  closed by the schedule: the log of expire_session says\n    {json.dumps(outcome)}")
        _wait_for("the schedules have deleted themselves", 120, lambda: not self._behind()["schedules"])
        self._say("  and the schedules have deleted themselves")
        return True

    def _outcomes_of_expiry(self, since: datetime) -> list[Any]:
        log = self._backstage.log_of_last_call("expire_session", since)
        return [line["details"].get("outcome") for line in log["lines"]]

    def _leaving(self) -> None:
        self._start()
        addresses = _expect_answer(self._call("GET", "/profile"), 200)["profile"]
        _expect_answer(self._call("DELETE", "/profile"), 204)
        self._say("Robin leaves, live as they are: 204")
        _expect_answer(self._call("GET", "/profile"), 404, "PROFILE_NOT_FOUND")
        _expect_answer(self._call("GET", "/preferences"), 404, "PREFERENCES_NOT_FOUND")
        _expect(_expect_answer(self._call("GET", "/session"), 200)["active"] is False, "the session is over")
        _expect(not self._behind()["schedules"], "no schedule remains")
        for name in ("photoUrl", "thumbnailUrl"):
            _expect(photo.is_gone(addresses[name]), f"{name} leads nowhere any more")
        self._say("  no profile, no preferences, no session, no schedule, and the photo's addresses lead nowhere")

    def _start(self) -> dict[str, Any]:
        session: dict[str, Any] = _expect_answer(self._call("POST", "/session/start", _START), 201)["session"]
        self._say(f"Robin goes live for {session['durationMinutes']} minutes, until {_time(session['expiresAt'])}")
        return session

    def _behind(self) -> dict[str, Any]:
        """Return Robin's newest session as database and scheduler have it."""
        session: dict[str, Any] = self._backstage.state(self._robin.id)["session"]
        return session

    def _call(self, method: str, path: str, body: object = None) -> Answer:
        return self._stack.call(method, path, token=self._token, body=body)


def _expect(holds: object, promise: str) -> None:
    if not holds:
        raise CommandError(f"Not as promised: {promise}")


def _expect_answer(answer: Answer, status: int, code: str | None = None) -> Any:  # noqa: ANN401 (any JSON)
    """Return the body of an answer. Raises CommandError when the answer is not as it should be."""
    said = answer.body.get("code") if isinstance(answer.body, dict) else None
    _expect(
        (answer.status, said) == (status, code),
        f"the answer should be {status} {code or ''}; it is {answer.status} {json.dumps(answer.body)}",
    )
    return answer.body


def _wait_for[T](promise: str, seconds: float, look: Callable[[], T | None]) -> T:
    """Return what `look` finds, as soon as it finds something. Raises CommandError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        _expect(time.monotonic() < deadline, promise)
        time.sleep(0.5)
    return found


def _time(moment: str | datetime) -> str:
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{at.astimezone():%H:%M:%S}"


@shows_errors
def main() -> int:
    workspace = command_line(__doc__).parse_args().workspace
    end_on_any_interruption()
    aws.keep_to_this_machine()
    progress = clock()
    try:
        Demo(Stack.load(workspace), progress).play()
    except KeyboardInterrupt:
        return 1
    progress("All as promised.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
