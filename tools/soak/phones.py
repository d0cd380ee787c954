"""Random actions of members with their phones, and of the main app with their accounts."""

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from random import Random
from threading import Lock

from PIL import Image

from tools.local import forms, members
from tools.local.stack import Answer
from tools.soak.journal import Journal, Outcome
from tools.soak.system import System

TEXT = "soak-text-"  # the prefix of texts that must be in no log
DEVICE = "soak-device-"
_LATITUDE, _LONGITUDE = -41.0, -71.0  # no other number has these degrees, so that a place is found in logs
_MINUTES = (15, 30, 60)
_SERVER_ERROR, _CLIENT_ERROR, _CREATED = 500, 400, 201
_WITHDRAWALS = (
    "UPDATE users SET id_verified = false WHERE id = %(id)s",
    "UPDATE users SET after_hours_consent = false WHERE id = %(id)s",
    "UPDATE user_subscriptions SET is_active = false WHERE user_id = %(id)s",
)
_ENTITLED = """
    UPDATE users SET id_verified = true, after_hours_consent = true WHERE id = %(id)s;
    UPDATE user_subscriptions SET is_active = true WHERE user_id = %(id)s
"""


@dataclass
class Phone:
    """A member with a phone. The lock makes a member do one thing at a time."""

    id: str
    token: str
    lock: Lock = field(default_factory=Lock)
    seen_end: str | None = None


class World:
    """The members, and all that they can do."""

    def __init__(self, system: System, journal: Journal, run: str) -> None:
        self.system = system
        self.journal = journal
        self.quiet = False  # True once no fault is injected any more: then no answer may be a 5xx
        self._run = run
        self._numbers = count()
        self.phones: list[Phone] = []

    def join(self, number: int) -> None:
        """Let the main app make members who are entitled."""
        for _ in range(number):
            self.phones.append(self._new_phone())

    def act(self, random: Random, action: "Action | None" = None) -> None:
        """Let one member do one thing. A tenth of the members do half of it all, so that long stories happen, too."""
        phone = self.phones[int(len(self.phones) * random.random() ** 3)]
        if not phone.lock.acquire(blocking=False):
            return
        try:
            [chosen] = random.choices([each for each, _ in ACTIONS], [weight for _, weight in ACTIONS])
            with self.system.gate.passing():
                (action or chosen)(self, phone, random)
        finally:
            phone.lock.release()

    def text(self) -> str:
        return f"{TEXT}{next(self._numbers)}"

    def call(self, phone: Phone, method: str, path: str, body: object = None) -> Answer:
        """Call the API, and report an answer that is never right. The status is 599 when no answer came."""
        try:
            answer = self.system.stack.call(method, path, token=phone.token, body=body)
        except (OSError, json.JSONDecodeError):
            answer = Answer(599, None)
        code = (answer.body or {}).get("code") if isinstance(answer.body, dict) else None
        self.journal.answers.append(f"{answer.status} {code}" if code else str(answer.status))
        if code == "INTERNAL_ERROR" or (self.quiet and answer.status >= _SERVER_ERROR):
            self.journal.report(f"{method} {path} answered {answer.status} {code}{' in quiet' if self.quiet else ''}")
        return answer

    def change(
        self, phone: Phone, method: str, path: str, body: object = None, *, what: str, key: str | None = None
    ) -> Answer:
        """Call the API for a change, and write down the request and its outcome."""
        answer = self.call(phone, method, path, body)
        self.journal.write(what, phone.id, key, outcome_of(answer))
        return answer

    def delete_account(self, phone: Phone) -> None:
        """The main app deletes the account, and another member joins."""
        for _ in ("profile", "preferences"):
            self.journal.write("left", phone.id, None, Outcome.UNKNOWN)
        self.system.database.run(
            "DELETE FROM users WHERE id = %s",
            (phone.id,),
            on_deadlock=lambda: self.journal.report(f"the deletion of the account {phone.id} was a deadlock's victim"),
        )
        self.phones[self.phones.index(phone)] = self._new_phone()

    def _new_phone(self) -> Phone:
        id_ = f"soak-{self._run}-{next(self._numbers)}"
        member = replace(members.SEEDED["entitled"], id=id_)
        self.system.database.run(
            """
            INSERT INTO users (id, provider, email, id_verified, after_hours_consent, after_hours_consent_at)
            VALUES (%(id)s, 'google', %(email)s, true, true, now()) ON CONFLICT DO NOTHING;
            INSERT INTO profiles (user_id, name, age, gender, sexual_preference)
            VALUES (%(id)s, %(name)s, %(age)s, %(gender)s, %(sexual_preference)s) ON CONFLICT DO NOTHING;
            INSERT INTO user_subscriptions (user_id, is_active)
            SELECT %(id)s, true WHERE NOT EXISTS (SELECT FROM user_subscriptions WHERE user_id = %(id)s)
            """,
            {**vars(member), "email": member.email},
        )
        return Phone(id_, self.system.stack.token(id_))


def outcome_of(answer: Answer) -> Outcome:
    if answer.status >= _SERVER_ERROR:
        return Outcome.UNKNOWN
    return Outcome.REFUSED if answer.status >= _CLIENT_ERROR else Outcome.DONE


def write_profile(world: World, phone: Phone, random: Random) -> None:
    text = world.text()
    method = random.choice(("POST", "POST", "PATCH"))
    world.change(phone, method, "/profile", {"description": text}, what="described", key=text)


def write_nonsense(world: World, phone: Phone, random: Random) -> None:
    text = world.text()
    bodies: list[dict[str, object]] = [
        {"description": text, "shoeSize": 43},
        {"description": text + "x" * 500},
        {"description": [text]},
    ]
    answer = world.change(phone, "PATCH", "/profile", random.choice(bodies), what="described", key=text)
    if outcome_of(answer) is Outcome.DONE:
        world.journal.report(f"a body that breaks the contract was answered {answer.status}")


def choose(world: World, phone: Phone, random: Random) -> None:
    method = random.choice(("POST", "PATCH"))
    good = random.random() < 0.8  # noqa: PLR2004
    body = {"maxDistanceKm": random.randint(1, 200) if good else 201}
    world.change(phone, method, "/preferences", body, what="preferred")


def send_photo(world: World, phone: Phone, random: Random) -> None:
    """Send a good file, a bad one or none; S3's event may come twice."""
    content = random.choice((picture(6), picture(6), picture(1), picture(6)[:900], b"<html>no</html>", None))
    twice = random.random() < 0.5  # noqa: PLR2004
    _send_photo(world, phone, content, twice=twice)


def send_good_photo(world: World, phone: Phone, random: Random) -> None:
    """Send a file that becomes a photo, as a member who is entitled and has a profile."""
    world.system.database.run(_ENTITLED, {"id": phone.id})
    write_profile(world, phone, random)
    _send_photo(world, phone, picture(6), twice=False)


def _send_photo(world: World, phone: Phone, content: bytes | None, *, twice: bool) -> None:
    answer = world.call(phone, "POST", "/profile/photo")
    created = answer.status == _CREATED
    upload = answer.body["upload"] if created else {}
    world.journal.write("asked", phone.id, upload.get("photoId"), outcome_of(answer))
    if not created or content is None:
        return
    try:
        stored = forms.post(upload["url"], upload["fields"], content) < _CLIENT_ERROR
    except OSError:
        return  # S3 may have the file, or not
    if stored and twice:
        bucket, key = world.system.stack.upload_bucket, upload["fields"]["key"]
        s3 = {"bucket": {"name": bucket}, "object": {"key": key, "size": len(content)}}
        world.system.client("lambda").invoke(
            FunctionName=world.system.stack.functions["process_photo"],
            InvocationType="Event",
            Payload=json.dumps({"Records": [{"eventName": "ObjectCreated:Post", "s3": s3}]}).encode(),
        )


def delete_photo(world: World, phone: Phone, _random: Random) -> None:
    world.call(phone, "DELETE", "/profile/photo")


def start(world: World, phone: Phone, random: Random) -> None:
    good = random.random() < 0.9  # noqa: PLR2004
    body = {
        "duration": random.choice(_MINUTES) if good else 20,
        "latitude": _LATITUDE - random.random(),
        "longitude": _LONGITUDE - random.random(),
        "deviceFingerprint": {"deviceId": f"{DEVICE}{random.random()}", "platform": "iOS"},
    }
    answer = world.call(phone, "POST", "/session/start", body)
    session = answer.body["session"] if answer.status == _CREATED else {}
    world.journal.write("started", phone.id, session.get("id"), outcome_of(answer))
    phone.seen_end = session.get("expiresAt", phone.seen_end)


def extend(world: World, phone: Phone, random: Random) -> None:
    body: dict[str, object] = {"additionalMinutes": random.choice(_MINUTES)}
    if random.random() < 0.5:  # noqa: PLR2004
        body["expiresAt"] = phone.seen_end or datetime.now(UTC).isoformat()
    answer = world.change(phone, "POST", "/session/extend", body, what="extended")
    if outcome_of(answer) is Outcome.DONE:
        phone.seen_end = answer.body["session"]["expiresAt"]


def end(world: World, phone: Phone, _random: Random) -> None:
    answer = world.call(phone, "POST", "/session/end")
    if outcome_of(answer) is Outcome.DONE:
        world.journal.write("ended", phone.id, answer.body["session"]["id"], Outcome.DONE)


def look(world: World, phone: Phone, random: Random) -> None:
    asked = datetime.now(UTC)
    path = random.choice(("/session", "/session", "/profile", "/profile/photo", "/preferences"))
    answer = world.call(phone, "GET", path)
    if path == "/session" and outcome_of(answer) is Outcome.DONE and answer.body["active"]:
        ends = datetime.fromisoformat(answer.body["session"]["expiresAt"])
        if ends < asked:
            world.journal.report(f"a member is shown live {(asked - ends) / timedelta(seconds=1):.1f} s past the end")


def leave(world: World, phone: Phone, _random: Random) -> None:
    world.change(phone, "DELETE", "/profile", what="left")


def withdraw(world: World, phone: Phone, random: Random) -> None:
    """The main app withdraws one of the member's entitlements, or gives all back."""
    statement = random.choice((*_WITHDRAWALS, _ENTITLED, _ENTITLED, _ENTITLED))
    world.system.database.run(statement, {"id": phone.id})


def delete_account(world: World, phone: Phone, random: Random) -> None:
    """The main app deletes the account while its member does up to three things at once."""
    others, weights = zip(*((each, weight) for each, weight in ACTIONS if each is not delete_account), strict=True)
    doing = random.choices(others, weights, k=random.randint(0, 3))
    with ThreadPoolExecutor(len(doing) + 1) as pool:
        turns = [pool.submit(each, world, phone, Random(random.random())) for each in doing]  # noqa: S311 (no secret)
        turns.append(pool.submit(world.delete_account, phone))
    for turn in turns:
        turn.result()


type Action = Callable[[World, Phone, Random], None]

# The actions of members, each with its weight.
ACTIONS: tuple[tuple[Action, int], ...] = (
    (write_profile, 14),
    (write_nonsense, 2),
    (choose, 6),
    (send_photo, 8),
    (delete_photo, 3),
    (start, 20),
    (extend, 10),
    (end, 6),
    (look, 12),
    (leave, 3),
    (withdraw, 3),
    (delete_account, 2),
)


@cache
def picture(orientation: int) -> bytes:
    """Return a small JPEG whose EXIF tells where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825).update({1: "S", 2: (41.0, 8.0, 1.0), 3: "W", 4: (71.0, 18.0, 37.0)})
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, "JPEG", exif=exif, comment=f"{TEXT}comment")
    return file.getvalue()
