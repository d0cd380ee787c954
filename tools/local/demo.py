"""`make demo`: the whole story of an After Hours session, played against the running system, each step checked."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import uuid4

import boto3

from tools.local import aws, members, photo, schedules
from tools.local.members import Member
from tools.local.processes import end_on_any_interruption
from tools.local.progress import Progress, clock
from tools.local.stack import Answer, Stack
from tools.local.workspace import CommandError, command_line, shows_errors

_HERE = {"latitude": 40.7411, "longitude": -73.9897}
_REFUSALS = {
    "noPremium": ("has no subscription", "PREMIUM_REQUIRED"),
    "unverified": ("has not shown an ID", "VERIFICATION_REQUIRED"),
    "noConsent": ("has not agreed to After Hours", "CONSENT_REQUIRED"),
}

# The local scheduler looks for due schedules every 10 s. The sweep comes every minute and would end an overdue session,
# too. The demo wants to see the schedule end it, and so picks a moment when the schedule comes first.
_NOTICE = timedelta(seconds=10)
_SCHEDULER_NEEDS = timedelta(seconds=20)
_SWEEP_EVERY = timedelta(minutes=1)
_LOG_NEEDS_SECONDS = 20
_ATTEMPTS = 3


class Demo:
    """One performance, by a member of its own who is removed afterwards: the seeded members stay as they were."""

    def __init__(self, stack: Stack, progress: Progress) -> None:
        self._stack = stack
        self._progress = progress
        self._robin = Member(f"demo-{uuid4()}", "Robin", 27, "Female", "Straight")
        self._token = stack.token(self._robin.id)
        self._scheduler = boto3.client("scheduler", **stack.aws)
        self._logs = boto3.client("logs", **stack.aws)

    def play(self) -> None:
        """Play all of it. Raises CommandError at the first thing that is not as promised."""
        with closing(self._stack.connect()) as connection:
            members.save(connection, self._robin)
        try:
            self._who_gets_in()
            self._a_profile()
            self._a_photo()
            self._a_session()
            self._an_expiry()
            self._leaving()
        finally:
            self._call("DELETE", "/profile")  # an unfinished demo must leave nothing behind either
            with closing(self._stack.connect()) as connection:
                members.remove(connection, self._robin)

    def _who_gets_in(self) -> None:
        self._progress("Robin, 27, subscribed, verified and consenting, opens After Hours.")
        _expect_answer(self._stack.call("GET", "/session"), 401, "UNAUTHORIZED")
        self._progress("  without a token: 401")
        for name, (reason, code) in _REFUSALS.items():
            member = members.SEEDED[name]
            _expect_answer(self._stack.call("GET", "/session", token=self._stack.users[name].token), 403, code)
            self._progress(f"  {member.name}, who {reason}: 403 {code}")
        body = _expect_answer(self._call("GET", "/session"), 200)
        _expect(body["active"] is False, "Robin is not live yet")
        self._progress("  Robin: 200, and not live yet")

    def _a_profile(self) -> None:
        _expect_answer(self._call("POST", "/session/start", {"duration": 15, **_HERE}), 400, "PROFILE_REQUIRED")
        self._progress("Going live needs a profile: 400 PROFILE_REQUIRED")
        profile = _expect_answer(self._call("POST", "/profile", {"description": "One demo, then home"}), 201)["profile"]
        _expect((profile["name"], profile["age"]) == ("Robin", 27), "name and age come from the main profile")
        self._progress(f"Robin writes one: 201, “{profile['description']}”, as {profile['name']}, {profile['age']}")
        preferences = _expect_answer(self._call("POST", "/preferences", {"maxAge": 35}), 201)["preferences"]
        _expect(preferences["seekingGender"] == "Male", "what is not said comes from the main profile")
        self._progress(f"  and says whom to show: up to 35, and from the main profile {preferences['seekingGender']}")
        crossed = self._call("PATCH", "/preferences", {"minAge": 36})
        _expect_answer(crossed, 400, "VALIDATION_ERROR")
        self._progress(f"  from 36 on, then? 400 VALIDATION_ERROR: {crossed.body['errors'][0]['message']}")

    def _a_photo(self) -> None:
        taken = photo.described(photo.take())
        _expect(taken["GPS"] and not taken["upright"], "the photo lies on its side and tells where it was taken")
        self._progress(f"Robin takes a photo. The phone stores it lying on its side, and notes the place: {taken}")
        upload = _expect_answer(self._call("POST", "/profile/photo"), 201)["upload"]
        with NamedTemporaryFile(suffix=".jpg") as file:
            file.write(photo.take())
            file.flush()
            form = photo.form(upload, Path(file.name))
            subprocess.run(["curl", "-sS", "-K", "-"], input=form, text=True, check=True)
        self._progress("  sent straight to S3, with curl and the form that POST /profile/photo signed")
        shown = _wait_for("the photo is made within five minutes", 300, self._settled_photo)
        _expect(shown["status"] == "ready", f"the photo is ready; it is {shown['status']} {shown['reason']}")
        for name, size in (("photoUrl", (900, 1200)), ("thumbnailUrl", (200, 200))):
            made = photo.described(photo.fetch(shown[name]))
            clean = {"upright": True, "EXIF": 0, "GPS": 0, "other metadata": []}
            _expect({**clean, "size": size}.items() <= made.items(), f"{name} is upright, small and clean: {made}")
            self._progress(f"  {name}: {made}")
        replaced = _expect_answer(self._call("GET", "/profile"), 200)["profile"]
        _expect(replaced["photoUrl"] == shown["photoUrl"], "the address stays the same, so that a phone can cache it")
        self._progress("  upright, small, and nothing of where it was taken")

    def _settled_photo(self) -> dict[str, Any] | None:
        now: dict[str, Any] = _expect_answer(self._call("GET", "/profile/photo"), 200)["photo"]
        return None if now["status"] in photo.WAITING else now

    def _a_session(self) -> None:
        session = self._start()
        live = _expect_answer(self._call("GET", "/session"), 200)
        _expect(live["active"] and live["session"]["id"] == session["id"], "the session is live")
        self._progress(f"  live: {live['session']['remainingSeconds']} seconds left")
        extended = _expect_answer(self._call("POST", "/session/extend", {"additionalMinutes": 30}), 200)["session"]
        gained = datetime.fromisoformat(extended["expiresAt"]) - datetime.fromisoformat(session["expiresAt"])
        _expect(gained == timedelta(minutes=30), "extending by 30 minutes adds 30 minutes")
        self._progress(f"  extended by {extended['extendedByMinutes']} minutes, until {_time(extended['expiresAt'])}")
        second = self._call("POST", "/session/start", {"duration": 60, **_HERE})
        body = _expect_answer(second, 409, "SESSION_ALREADY_ACTIVE")
        _expect(body["session"]["id"] == session["id"], "the refusal of a second start names the live session")
        self._progress("  a second start: 409 SESSION_ALREADY_ACTIVE, with the live session")
        ended = _expect_answer(self._call("POST", "/session/end"), 200)["session"]
        _expect(ended["id"] == session["id"], "the session ended is the one started")
        self._progress(f"  ended by Robin at {_time(ended['endedAt'])}")

    def _an_expiry(self) -> None:
        for _ in range(_ATTEMPTS):
            if self._ended_by_its_schedule():
                return
            self._progress("  the sweep came first this time, and is meant to: once more, with a new session")
        raise CommandError(f"Not as promised: in {_ATTEMPTS} sessions, none was ended by its schedule")

    def _ended_by_its_schedule(self) -> bool:
        """Let a session run out. Return whether its schedule ended it, and not the sweep."""
        session = self._start()
        name = f"expire-{session['id']}"
        schedule = schedules.find(self._scheduler, self._stack.schedule_group, name)
        if schedule is None:
            raise CommandError("Not as promised: a started session has its schedule")
        self._progress(f"  EventBridge Scheduler holds {name}: {schedule['ScheduleExpression']}")

        expires_at = self._moment_for_the_schedule()
        self._bring_near(session["id"], schedule, expires_at)
        self._progress(
            f"  as if time had passed, its end is brought near: {_time(expires_at)}. Nobody touches it from here on."
        )
        while (left := (expires_at - datetime.now(UTC)).total_seconds()) > 0:
            self._progress(f"    … {left:2.0f} seconds left")
            time.sleep(min(left, 5))
        body = _expect_answer(self._call("GET", "/session"), 200)
        _expect(body["active"] is False, "the session is over at the second it says")
        self._progress("  time is up: GET /session says it is over, even before anything has closed it")

        waited = _wait_for("the session is closed within five minutes", 300, lambda: self._ended_at(session["id"]))
        _expect(waited == expires_at, "the session ended when it was due")
        # Where the sweep came first, it has removed the schedule as well, and expire_session logs nothing.
        deadline = time.monotonic() + _LOG_NEEDS_SECONDS
        while not (outcome := self._outcome_of_expiry(session["id"])) and time.monotonic() < deadline:
            time.sleep(0.5)
        if outcome != "expired":
            return False
        self._progress("  closed by the schedule: the log of expire_session says")
        self._progress(f"    {json.dumps({'kind': 'expiry', 'sessionId': session['id'], 'outcome': outcome})}")
        _wait_for("the schedule has deleted itself", 120, lambda: not self._exists(name))
        self._progress("  and the schedule has deleted itself")
        return True

    def _leaving(self) -> None:
        session = self._start()
        addresses = _expect_answer(self._call("GET", "/profile"), 200)["profile"]
        _expect_answer(self._call("DELETE", "/profile"), 204)
        self._progress("Robin leaves, live as they are: 204")
        _expect_answer(self._call("GET", "/profile"), 404, "PROFILE_NOT_FOUND")
        _expect_answer(self._call("GET", "/preferences"), 404, "PREFERENCES_NOT_FOUND")
        _expect(_expect_answer(self._call("GET", "/session"), 200)["active"] is False, "the session is over")
        _expect(not self._exists(f"expire-{session['id']}"), "no schedule is left")
        for name in ("photoUrl", "thumbnailUrl"):
            _expect(photo.is_gone(addresses[name]), f"{name} leads nowhere any more")
        self._progress("  no profile, no preferences, no session, no schedule, and the photo's addresses lead nowhere")

    def _start(self) -> dict[str, Any]:
        session: dict[str, Any] = _expect_answer(self._call("POST", "/session/start", {"duration": 15, **_HERE}), 201)[
            "session"
        ]
        self._progress(f"Robin goes live for {session['durationMinutes']} minutes, until {_time(session['expiresAt'])}")
        return session

    def _moment_for_the_schedule(self) -> datetime:
        """Return a time soon, in whole seconds, after which the scheduler acts before the next sweep does."""
        soon = datetime.now(UTC).replace(microsecond=0) + _NOTICE
        sweeps = self._log_of("sweep", since=datetime.now(UTC) - 2 * _SWEEP_EVERY)
        if not sweeps:
            return soon
        next_sweep = max(at for at, _ in sweeps) + _SWEEP_EVERY
        while next_sweep < soon:
            next_sweep += _SWEEP_EVERY
        if soon + _SCHEDULER_NEEDS < next_sweep:
            return soon
        return next_sweep.replace(microsecond=0) + timedelta(seconds=5)

    def _bring_near(self, session_id: str, schedule: dict[str, Any], expires_at: datetime) -> None:
        with closing(self._stack.connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute("UPDATE after_hours_sessions SET expires_at = %s WHERE id = %s", (expires_at, session_id))
        schedules.move(self._scheduler, schedule, expires_at)

    def _ended_at(self, session_id: str) -> datetime | None:
        with closing(self._stack.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT ended_at FROM after_hours_sessions WHERE id = %s", (session_id,))
            row = cursor.fetchone()
            return row[0] if row else None

    def _outcome_of_expiry(self, session_id: str) -> str | None:
        """Return what expire_session logged of this session's expiry."""
        for _, entry in self._log_of("expire_session", since=datetime.now(UTC) - timedelta(minutes=10)):
            outcome = entry.get("outcome")
            if isinstance(outcome, dict) and (outcome.get("kind"), outcome.get("sessionId")) == ("expiry", session_id):
                return str(outcome.get("outcome"))
        return None

    def _log_of(self, function: str, since: datetime) -> list[tuple[datetime, dict[str, Any]]]:
        """Return the structured lines in a function's log, with their times."""
        group = f"/aws/lambda/{self._stack.functions[function]}"
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=int(since.timestamp() * 1000)
        )
        return [
            (datetime.fromtimestamp(event["timestamp"] / 1000, UTC), json.loads(event["message"]))
            for page in pages
            for event in page["events"]
            if event["message"].startswith("{")
        ]

    def _exists(self, schedule: str) -> bool:
        return schedules.find(self._scheduler, self._stack.schedule_group, schedule) is not None

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
