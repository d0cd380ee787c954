"""Random actions of members with their phones, and of the main app with their accounts."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from threading import Lock
from typing import Any

from tools.local import forms
from tools.local.stack import Answer
from tools.pictures.files import corners, encoded, exif
from tools.soak.leaps import Leaps
from tools.soak.system import System

# No log may hold these texts, nor numbers with the degrees of these places (audit.sql).
_TEXT, _DEVICE = "soak-text-", "soak-device-"
_LATITUDE, _LONGITUDE = -41.0, -71.0
_MINUTES = (15, 30, 60)
_PHOTO = encoded(corners(), exif=exif(6), comment=f"{_TEXT}comment")  # its EXIF has the place where it was taken
_JOIN = """
    INSERT INTO users (id, provider, id_verified, after_hours_consent)
    SELECT id, 'google', true, true FROM unnest(%(ids)s) AS id ON CONFLICT DO NOTHING;
    INSERT INTO profiles (user_id, name, age, gender, sexual_preference)
    SELECT id, 'Alex', 29, 'Male', 'Straight' FROM unnest(%(ids)s) AS id ON CONFLICT DO NOTHING;
    INSERT INTO user_subscriptions (user_id, is_active) SELECT id, true FROM unnest(%(ids)s) AS id
"""
_ENTITLED = """
    UPDATE users SET id_verified = true, after_hours_consent = true WHERE id = %(id)s;
    UPDATE user_subscriptions SET is_active = true WHERE user_id = %(id)s
"""
_WITHDRAWALS = (
    "UPDATE users SET id_verified = false WHERE id = %(id)s",
    "UPDATE users SET after_hours_consent = false WHERE id = %(id)s",
    "UPDATE user_subscriptions SET is_active = false WHERE user_id = %(id)s",
)


@dataclass
class Phone:
    """A member with a phone. The lock makes a member do one thing at a time."""

    id: str
    token: str
    lock: Lock = field(default_factory=Lock)
    seen_end: str | None = None


class World:
    """The members, and the records of what they did: lists, because threads may append to one without a lock."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.leaps = Leaps(system)
        self.phones: list[Phone] = []
        self.asked: list[dict[str, str | None]] = []  # the rows of soak.asked
        self.answers: list[str] = []
        self.violations: list[str] = []
        self.quiet = False  # True once no fault is injected any more: then no answer may be a 5xx
        self.numbers = count()

    def join(self, name: str, number: int) -> list[str]:
        """Let so many entitled members join the main app. Return their ids."""
        ids = [f"soak-{name}-{next(self.numbers)}" for _ in range(number)]
        self.system.database.run(_JOIN, {"ids": ids})
        return ids

    def new_phones(self, number: int) -> list[Phone]:
        return [Phone(id_, self.system.stack.token(id_)) for id_ in self.join("member", number)]

    def act(self, random: Random, action: "Action | None" = None) -> None:
        """Let one member do one thing. A tenth of the members do half of it all, so that long stories happen, too."""
        phone = self.phones[int(len(self.phones) * random.random() ** 3)]
        if not phone.lock.acquire(blocking=False):
            return
        try:
            [chosen] = random.choices([*ACTIONS], [*ACTIONS.values()])
            with self.system.clock.held():
                (action or chosen)(self, phone, random)
        finally:
            phone.lock.release()

    def call(
        self,
        phone: Phone,
        method: str,
        path: str,
        body: object = None,
        *,
        change: str | None = None,
        key: str | Callable[[Any], str] | None = None,
    ) -> Any:  # noqa: ANN401 (JSON)
        """Call the API. Return the body of a success, None for any other answer.

        A request for a `change` is recorded; its `key` may be a function of the answer's body. An answer that is never
        right is a violation.
        """
        try:
            answer = self.system.stack.call(method, path, token=phone.token, body=body)
        except (OSError, json.JSONDecodeError):
            answer = Answer(599, None)
        outcome = {2: "done", 4: "refused"}.get(answer.status // 100, "unknown")
        code = answer.body.get("code", "") if isinstance(answer.body, dict) else ""
        self.answers.append(f"{answer.status} {code}".rstrip())
        if code == "INTERNAL_ERROR" or (self.quiet and outcome == "unknown"):
            when = "in quiet" if self.quiet else "during a fault"
            self.violations.append(f"{method} {path} answered {answer.status} {code} {when}")
        body = answer.body if outcome == "done" else None
        if callable(key):
            key = key(body) if body else None
        if change:
            self.note(change, phone, key, outcome)
        return body

    def note(self, what: str, phone: Phone, key: str | None, outcome: str) -> None:
        """Record a request for a change. `key` is the id or the text of the change, where the caller can know it."""
        self.asked.append({"what": what, "user_id": phone.id, "key": key, "outcome": outcome})


def _session_id(body: Any) -> str:  # noqa: ANN401 (JSON)
    return str(body["session"]["id"])


def write_profile(world: World, phone: Phone, random: Random) -> None:
    text, method = f"{_TEXT}{next(world.numbers)}", random.choice(("POST", "POST", "PATCH"))
    world.call(phone, method, "/profile", {"description": text}, change="described", key=text)


def choose(world: World, phone: Phone, random: Random) -> None:
    method = random.choice(("POST", "PATCH"))
    world.call(phone, method, "/preferences", {"maxDistanceKm": random.randint(1, 200)}, change="preferred")


def send_photo(world: World, phone: Phone, random: Random) -> None:
    """Send a good file, a bad one or none; S3's event may come twice."""
    content = random.choice((_PHOTO, _PHOTO, _PHOTO, _PHOTO[:900], b"<html>no</html>", None))
    answer = world.call(phone, "POST", "/profile/photo", change="asked", key=lambda made: made["upload"]["photoId"])
    if not answer or content is None:
        return
    form, bucket = answer["upload"], {"name": world.system.stack.upload_bucket}
    with suppress(OSError):  # S3 may have the file, or not
        if forms.post(form["url"], form["fields"], content) < 400 and random.random() < 0.5:  # noqa: PLR2004
            s3 = {"bucket": bucket, "object": {"key": form["fields"]["key"], "size": len(content)}}
            world.system.invoke("process_photo", {"Records": [{"eventName": "ObjectCreated:Post", "s3": s3}]})


def begin_with_a_photo(world: World, phone: Phone, random: Random) -> None:
    """Send a photo as an entitled member with a profile."""
    world.system.database.run(_ENTITLED, {"id": phone.id})
    write_profile(world, phone, random)
    send_photo(world, phone, random)


def start(world: World, phone: Phone, random: Random) -> None:
    body = {
        "duration": random.choice(_MINUTES),
        "latitude": _LATITUDE - random.random(),
        "longitude": _LONGITUDE - random.random(),
        "deviceFingerprint": {"deviceId": f"{_DEVICE}{random.random()}", "platform": "iOS"},
    }
    answer = world.call(phone, "POST", "/session/start", body, change="SessionStarted", key=_session_id)
    if answer:
        phone.seen_end = answer["session"]["expiresAt"]


def extend(world: World, phone: Phone, random: Random) -> None:
    body: dict[str, object] = {"additionalMinutes": random.choice(_MINUTES)}
    if random.random() < 0.5:  # noqa: PLR2004
        body["expiresAt"] = phone.seen_end or datetime.now(UTC).isoformat()
    if answer := world.call(phone, "POST", "/session/extend", body, change="SessionExtended"):
        phone.seen_end = answer["session"]["expiresAt"]


def look(world: World, phone: Phone, random: Random) -> None:
    asked = datetime.now(UTC)
    path = random.choice(("/session", "/session", "/profile", "/profile/photo", "/preferences"))
    answer = world.call(phone, "GET", path)
    if answer and answer.get("session"):
        ends = datetime.fromisoformat(answer["session"]["expiresAt"])
        if ends < asked:
            late = (asked - ends) / timedelta(seconds=1)
            world.violations.append(f"a member is shown live {late:.1f} s past the end")


def withdraw(world: World, phone: Phone, random: Random) -> None:
    """The main app withdraws one of the member's entitlements, or gives all back."""
    statement = random.choice((*_WITHDRAWALS, _ENTITLED, _ENTITLED, _ENTITLED))
    world.system.database.run(statement, {"id": phone.id})


def delete_account(world: World, phone: Phone, random: Random) -> None:
    """The main app deletes the account while its member does up to three things at once. Another member joins."""
    for _ in ("profile", "preferences"):
        world.note("left", phone, None, "unknown")
    others = {action: weight for action, weight in ACTIONS.items() if action is not delete_account}
    doing = random.choices([*others], [*others.values()], k=random.randint(0, 3))
    with ThreadPoolExecutor() as pool:
        sentence = f"the deletion of the account {phone.id} was a deadlock's victim"
        turns = [pool.submit(each, world, phone, Random(random.random())) for each in doing]  # noqa: S311 (no secret)
        world.system.database.run(
            "DELETE FROM users WHERE id = %s", (phone.id,), on_deadlock=lambda: world.violations.append(sentence)
        )
    for turn in turns:
        turn.result()
    [world.phones[world.phones.index(phone)]] = world.new_phones(1)


type Action = Callable[[World, Phone, Random], object]

# The actions of members, each with its weight.
ACTIONS: dict[Action, int] = {
    write_profile: 15,
    choose: 6,
    send_photo: 8,
    lambda world, phone, _: world.call(phone, "DELETE", "/profile/photo"): 3,
    start: 20,
    extend: 10,
    lambda world, phone, _: world.call(phone, "POST", "/session/end", change="SessionEnded", key=_session_id): 6,
    look: 12,
    lambda world, phone, _: world.call(phone, "DELETE", "/profile", change="left"): 3,
    withdraw: 3,
    delete_account: 2,
}
