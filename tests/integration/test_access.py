"""Every route of the API asks who is calling and whether they may, and refuses when it cannot tell.

Each condition is tried on one endpoint; that all endpoints go through the same door is a test of its own.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from after_hours.entrypoints import api
from after_hours.entrypoints.access import Read
from after_hours.foundation import secrets

from infra.endpoints import ENDPOINTS
from tests.support.environment import JWT_SECRET
from tests.support.handlers import http_event, load, send
from tests.support.phone import Phone
from tests.support.world import World
from tools.local.handlers import Context

MEMBER = {"userId": "local-entitled", "provider": "google", "email": "a@example.com"}
OPEN_TO_LEAVERS = {("DELETE", "/profile"), ("DELETE", "/profile/photo"), ("POST", "/session/end")}
PREMIUM = {"code": "PREMIUM_REQUIRED", "upgrade": True}
VERIFICATION = {"code": "VERIFICATION_REQUIRED", "requiresVerification": True}
CONSENT = {"code": "CONSENT_REQUIRED", "requiresConsent": True}
DENIALS = {"noPremium": PREMIUM, "unverified": VERIFICATION, "noConsent": CONSENT}


def claims(**changes: Any) -> dict[str, Any]:
    merged = {**MEMBER, "exp": int(time.time()) + 3600, **changes}
    return {name: value for name, value in merged.items() if value is not ...}


def signed(secret: str = JWT_SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm=algorithm)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def bad_authorizations() -> list[str]:
    signature = signed().split(".")[2]
    tokens = [
        "garbage", "a.b.c", f"{part({})}.ff00.x", "ü.\ud800.\0", signed(exp=int(time.time()) - 1),
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}.",
        f"{part({'alg': 'none'})}.{part(claims())}.{signature}",
        f"{part({'alg': 'HS256'})}.{part(claims(userId='other'))}.{signature}",
        signed("another secret that is long enough to be one"), signed(algorithm="HS384"), signed(algorithm="HS512"),
        signed(exp=...),
        *(signed(userId=odd) for odd in (..., None, "", 7, ["local-entitled"], "\0", "\ud800", "x" * 256)),
    ]  # fmt: skip
    return ["", "Bearer ", signed(), f"Basic {signed()}", *(f"Bearer {token}" for token in tokens)]


@pytest.mark.usefixtures("world")
def test_a_caller_without_a_good_token_gets_401_and_no_statement_is_sent(statements: Callable[[], list[str]]) -> None:
    for headers in ({}, *({"authorization": authorization} for authorization in bad_authorizations())):
        answer = send("get_session", http_event(headers=headers))
        assert answer.status == 401, headers
        assert answer.body == {"success": False, "error": "Please sign in again.", "code": "UNAUTHORIZED"}
        assert answer.headers["www-authenticate"] == "Bearer"
    assert statements() == []


def test_leavers_alone_are_spared_the_access_check() -> None:
    """`test_contract` has each endpoint refuse for every reason that applies to it, and for no other."""
    spared = {(each.method, each.path) for each in ENDPOINTS if not load(each.function).declared.entitled}
    assert spared == OPEN_TO_LEAVERS


@pytest.mark.usefixtures("world")
def test_a_good_token_is_known_however_the_header_is_written() -> None:
    for name, scheme in (("authorization", "Bearer"), ("Authorization", "bearer"), ("AUTHORIZATION", "BEARER")):
        assert send("get_session", http_event(headers={name: f"{scheme} {signed()}"})).status == 200


# What the main app changes, and with what the next call is refused
CHANGES: list[tuple[str, dict[str, Any] | None]] = [
    ("UPDATE user_subscriptions SET is_active = false", PREMIUM),
    ("UPDATE user_subscriptions SET expires_at = now() - interval '1 second'", PREMIUM),
    ("DELETE FROM user_subscriptions", PREMIUM),
    ("DELETE FROM users", PREMIUM),
    ("UPDATE users SET id_verified = false", VERIFICATION),
    ("UPDATE users SET id_verified = NULL", VERIFICATION),
    ("UPDATE users SET after_hours_consent = false", CONSENT),
    ("UPDATE users SET after_hours_consent = NULL", CONSENT),
    ("UPDATE user_subscriptions SET is_active = false; UPDATE users SET id_verified = false", PREMIUM),
    ("UPDATE users SET id_verified = false, after_hours_consent = false", VERIFICATION),
    ("UPDATE user_subscriptions SET expires_at = NULL", None),
    ("UPDATE user_subscriptions SET expires_at = now() + interval '1 minute'", None),
    ("INSERT INTO user_subscriptions (user_id, is_active, expires_at) VALUES ('local-entitled', true, 'epoch')", None),
]


@pytest.mark.parametrize("function", ["get_session", "request_photo_upload"])
def test_access_is_checked_afresh_on_each_request_and_in_order(phone: Phone, world: World, function: str) -> None:
    """The one endpoint reads, in one statement with the check; the other changes something after it."""
    nullable = "ALTER TABLE users ALTER id_verified {0} NOT NULL, ALTER after_hours_consent {0} NOT NULL"
    world.rows(nullable.format("DROP"))
    try:
        for change, denial in CHANGES:
            world.begin_anew()
            phone.create_profile()
            assert phone.call(function).status < 300
            world.rows(change)
            answer = phone.call(function)
            if denial is None:
                assert answer.status < 300, change
            else:
                assert answer.body.pop("error")
                assert (answer.status, answer.body) == (403, {"success": False, **denial}), change
    finally:
        world.begin_anew()
        world.rows(nullable.format("SET"))


@pytest.mark.usefixtures("world")
def test_what_is_read_is_shown_to_an_entitled_member_alone() -> None:
    shown: list[object] = []

    def answer_to(who: str, statement: str) -> tuple[int, str | None]:
        @api.endpoint(read=Read(statement, shown.append))
        def handler(_: None) -> api.Members:
            return {"shown": True}

        answer = handler(http_event(token=Phone(who).token), Context("reads"))
        return answer["statusCode"], json.loads(answer["body"]).get("code")

    for statement in (
        "SELECT %(user_id)s AS user_id",
        "SELECT verified, consenting FROM after_hours_entitlements(%(user_id)s)",
        "SELECT premium, verified FROM after_hours_entitlements(%(user_id)s)",
        "SELECT premium, verified, consenting, 1 / 0 FROM after_hours_entitlements(%(user_id)s)",
    ):
        assert answer_to("entitled", statement) == (503, "ACCESS_CHECK_FAILED")
    complete = "SELECT * FROM after_hours_entitlements(%(user_id)s)"
    for who, denial in DENIALS.items():
        assert answer_to(who, complete) == (403, denial["code"])
    assert shown == []
    assert answer_to("entitled", complete) == (200, None)
    assert len(shown) == 1


def test_a_member_reads_no_other_member_s_data(world: World) -> None:
    """A read takes its row by joins: of one that forgets whose row it joins, all members would see what one has."""
    other, member = Phone("other"), Phone("entitled")
    other.create_profile(description="another's")
    other.create_preferences()
    other.start()
    other.request_upload()
    reads = ("get_profile", "get_photo", "get_preferences", "get_session")
    assert [member.call(function).status for function in reads] == [404, 404, 404, 200]
    member.create_profile(description="my own")
    member.create_preferences(maxDistanceKm=3)
    assert (member.profile().user_id, member.profile().description) == (member.id, "my own")
    assert (member.preferences().max_distance_km, member.photo().status, member.session()) == (3, "none", None)


def test_a_missing_setting_is_named_in_the_log_and_the_call_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, output: Callable[[], str]
) -> None:
    monkeypatch.delenv("DATABASE_SECRET_ARN")
    assert send("get_session", http_event(token=signed())).status == 503
    assert "DATABASE_SECRET_ARN" in output()


def test_while_the_key_is_replaced_tokens_of_both_are_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, another = JWT_SECRET, "the key after it, 32 characters at least", "another key, of 32 characters at least"
    for previous, status in ((old, 200), (None, 401)):
        keys = secrets.JwtSecret.model_validate({"jwtSecret": new, "previousJwtSecret": previous})
        monkeypatch.setattr(secrets.jwt_secret, "read", lambda keys=keys, **_: keys)
        answers = [send("get_session", http_event(token=signed(key))) for key in (new, old, another)]
        assert [answer.status for answer in answers] == [200, status, 401]
