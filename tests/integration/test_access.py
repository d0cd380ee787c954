"""Every route of the API asks who is calling and whether they may, and lets nobody through when it cannot tell."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any, get_args

import jwt
import pytest
from after_hours.entrypoints import api
from after_hours.entrypoints.access import Read
from after_hours.foundation import clients, secrets
from after_hours.foundation.settings import Setting
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.endpoints import ENDPOINTS
from tests.support.environment import JWT_SECRET, UNREACHABLE
from tests.support.handlers import Answer, http_event, send
from tests.support.phone import Phone, refused
from tests.support.world import World
from tools.local.handlers import Context

MEMBER = {"userId": "local-entitled", "provider": "google", "email": "a@example.com"}
OPEN_TO_LEAVERS = {("DELETE", "/profile"), ("DELETE", "/profile/photo"), ("POST", "/session/end")}


def claims(**changes: Any) -> dict[str, Any]:
    merged = {**MEMBER, "exp": int(time.time()) + 3600, **changes}
    return {name: value for name, value in merged.items() if value is not ...}


def signed(secret: str = JWT_SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm=algorithm)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


BAD_AUTHORIZATIONS: dict[str, Callable[[], str | None]] = {
    "no token": lambda: None,
    "empty": lambda: "",
    "no scheme": signed,
    "another scheme": lambda: f"Basic {signed()}",
    "scheme alone": lambda: "Bearer ",
    "garbage": lambda: "Bearer garbage",
    "garbage in three parts": lambda: "Bearer a.b.c",
    "expired": lambda: f"Bearer {signed(exp=int(time.time()) - 1)}",
    "alg none": lambda: f"Bearer {part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}.",
    "alg none with a signature": lambda: f"Bearer {part({'alg': 'none'})}.{part(claims())}.{signed().split('.')[2]}",
    "wrong key": lambda: f"Bearer {signed('another secret that is long enough to be one')}",
    "HS512": lambda: f"Bearer {signed(algorithm='HS512')}",
    "HS384": lambda: f"Bearer {signed(algorithm='HS384')}",
    "no exp": lambda: f"Bearer {signed(exp=...)}",
    "exp is text": lambda: f"Bearer {signed(exp=str(int(time.time()) + 3600))}",
    "exp in milliseconds": lambda: f"Bearer {signed(exp=int(time.time() + 3600) * 1000)}",
    "exp is null": lambda: f"Bearer {signed(exp=None)}",
    "no userId": lambda: f"Bearer {signed(userId=...)}",
    "userId is null": lambda: f"Bearer {signed(userId=None)}",
    "userId is empty": lambda: f"Bearer {signed(userId='')}",
    "userId is a number": lambda: f"Bearer {signed(userId=7)}",
    "userId is a list": lambda: f"Bearer {signed(userId=['local-entitled'])}",
    "userId has NUL": lambda: f"Bearer {signed(userId=chr(0))}",
    "userId has half a surrogate pair": lambda: f"Bearer {signed(userId=chr(0xD800))}",
    "userId is too long": lambda: f"Bearer {signed(userId='x' * 256)}",
    "changed claims": lambda: (
        f"Bearer {part({'alg': 'HS256'})}.{part(claims(userId='other'))}.{signed().split('.')[2]}"
    ),
}


@pytest.fixture(params=ENDPOINTS, ids=lambda endpoint: endpoint.function)
def endpoint(request: pytest.FixtureRequest) -> Any:
    return request.param


GUARDED = [endpoint for endpoint in ENDPOINTS if (endpoint.method, endpoint.path) not in OPEN_TO_LEAVERS]


def call_with(endpoint: Any, authorization: str | None, body: Any = None) -> Answer:
    event = http_event(body=body)
    if authorization is not None:
        event["headers"]["authorization"] = authorization
    return send(endpoint.function, event)


@pytest.mark.parametrize("authorization", BAD_AUTHORIZATIONS.values(), ids=BAD_AUTHORIZATIONS)
def test_no_route_knows_a_caller_without_a_good_token(
    world: World, endpoint: Any, authorization: Callable[[], str | None]
) -> None:
    answer = call_with(endpoint, authorization())
    assert answer.status == 401
    assert answer.body == {"success": False, "error": "Please sign in again.", "code": "UNAUTHORIZED"}
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_request_that_fails_authentication_sends_no_statement(
    world: World, endpoint: Any, statements: Callable[[], list[str]]
) -> None:
    for authorization in BAD_AUTHORIZATIONS.values():
        call_with(endpoint, authorization(), body={})
    assert statements() == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("name", ["authorization", "Authorization"])
def test_a_good_token_is_known_however_the_header_is_written(world: World, scheme: str, name: str) -> None:
    event = http_event()
    event["headers"][name] = f"{scheme} {signed()}"
    assert send("get_session", event).status == 200


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.text().map("Bearer {}".format) | st.binary().map(lambda b: f"Bearer {part({})}.{b.hex()}.x"))
def test_arbitrary_authorizations_are_refused(world: World, authorization: str) -> None:
    event = http_event()
    event["headers"]["authorization"] = authorization
    assert send("get_session", event).status == 401


DENIALS = {
    "noPremium": {"code": "PREMIUM_REQUIRED", "upgrade": True},
    "unverified": {"code": "VERIFICATION_REQUIRED", "requiresVerification": True},
    "noConsent": {"code": "CONSENT_REQUIRED", "requiresConsent": True},
}


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda endpoint: endpoint.function)
@pytest.mark.parametrize("who", DENIALS)
def test_each_missing_entitlement_has_its_own_answer(world: World, endpoint: Any, who: str) -> None:
    answer = call_with(endpoint, f"Bearer {signed(userId=Phone(who).id)}", body={})
    assert answer.status == 403
    assert answer.body.pop("error")
    assert answer.body == {"success": False, **DENIALS[who]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE user_subscriptions SET is_active = false", "PREMIUM_REQUIRED"),
        ("UPDATE user_subscriptions SET expires_at = now() - interval '1 second'", "PREMIUM_REQUIRED"),
        ("DELETE FROM user_subscriptions", "PREMIUM_REQUIRED"),
        ("DELETE FROM users", "PREMIUM_REQUIRED"),
        ("UPDATE user_subscriptions SET is_active = false; UPDATE users SET id_verified = false", "PREMIUM_REQUIRED"),
        ("UPDATE users SET id_verified = false, after_hours_consent = false", "VERIFICATION_REQUIRED"),
    ],
)
def test_access_is_checked_afresh_on_each_request_and_in_order(
    phone: Phone, world: World, change: str, code: str
) -> None:
    phone.session()
    world.rows(change)
    with refused(f"403 {code}"):
        phone.session()


@pytest.mark.parametrize("expires_at", ["NULL", "now() + interval '1 minute'"])
def test_a_subscription_for_life_or_with_time_left_is_enough(phone: Phone, world: World, expires_at: str) -> None:
    world.rows(f"UPDATE user_subscriptions SET expires_at = {expires_at}")
    world.rows(
        "INSERT INTO user_subscriptions (user_id, is_active, expires_at) VALUES ('local-entitled', true, 'epoch')"
    )
    phone.session()


@pytest.mark.parametrize("column", ["id_verified", "after_hours_consent"])
def test_unknown_is_no(phone: Phone, world: World, column: str) -> None:
    world.rows(f"ALTER TABLE users ALTER {column} DROP NOT NULL")
    try:
        world.rows(f"UPDATE users SET {column} = NULL")
        assert phone.call("get_session").status == 403
    finally:
        world.rows(f"UPDATE users SET {column} = false WHERE {column} IS NULL")
        world.rows(f"ALTER TABLE users ALTER {column} SET NOT NULL")


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda endpoint: endpoint.function)
def test_when_the_check_cannot_run_nobody_gets_through(world: World, endpoint: Any) -> None:
    world.rows("ALTER TABLE user_subscriptions RENAME TO elsewhere")
    try:
        answer = call_with(endpoint, f"Bearer {signed()}", body={})
    finally:
        world.rows("ALTER TABLE elsewhere RENAME TO user_subscriptions")
    assert (answer.status, answer.body["code"]) == (503, "ACCESS_CHECK_FAILED")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT %(user_id)s AS user_id",
        "SELECT verified, consenting FROM after_hours_entitlements(%(user_id)s)",
        "SELECT premium, verified FROM after_hours_entitlements(%(user_id)s)",
        "SELECT premium, verified, consenting, 1 / 0 FROM after_hours_entitlements(%(user_id)s)",
    ],
)
def test_what_is_read_without_the_entitlements_or_not_at_all_is_shown_to_nobody(world: World, statement: str) -> None:
    shown: list[object] = []

    @api.endpoint(read=Read(statement, shown.append))
    def handler(_: None) -> None:
        shown.append("the handler")

    answer = handler(http_event(token=signed()), Context("reads"))
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (503, "ACCESS_CHECK_FAILED")
    assert shown == []


@pytest.mark.parametrize("who", DENIALS)
def test_what_is_read_is_looked_at_only_for_those_who_may_see_it(world: World, who: str) -> None:
    shown: list[object] = []

    @api.endpoint(read=Read("SELECT * FROM after_hours_entitlements(%(user_id)s)", shown.append))
    def handler(_: None) -> api.Members:
        return {"shown": True}

    assert handler(http_event(token=signed(userId=Phone(who).id)), Context("reads"))["statusCode"] == 403
    assert shown == []
    assert handler(http_event(token=signed()), Context("reads"))["statusCode"] == 200
    assert len(shown) == 1


def test_nobody_reads_what_is_another_member_s(world: World) -> None:
    """A read takes its row by joins: of one that forgets whose row it joins, all members would see what one has."""
    other, member = Phone("other"), Phone("entitled")
    other.create_profile(description="another's")
    other.create_preferences()
    other.start()
    other.request_upload()
    for read in (member.profile, member.photo):
        with refused("404 PROFILE_NOT_FOUND"):
            read()
    with refused("404 PREFERENCES_NOT_FOUND"):
        member.preferences()
    assert member.session() is None
    member.create_profile(description="my own")
    member.create_preferences(maxDistanceKm=3)
    assert (member.profile().user_id, member.profile().description) == (member.id, "my own")
    assert member.preferences().max_distance_km == 3
    assert member.photo().status == "none"
    assert member.session() is None


def test_without_the_secrets_nobody_gets_through(world: World, endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.jwt_secret._value = None
    monkeypatch.setenv("AWS_ENDPOINT_URL", UNREACHABLE)
    clients.start_anew()
    answer = call_with(endpoint, f"Bearer {signed()}", body={})
    assert (answer.status, answer.body["code"]) == (503, "SERVICE_UNAVAILABLE")


def test_a_missing_setting_is_named_in_the_log_and_nobody_gets_through(
    world: World, monkeypatch: pytest.MonkeyPatch, output: Callable[[], str]
) -> None:
    monkeypatch.delenv("DATABASE_SECRET_ARN")
    event = http_event(token=signed())
    assert send("get_session", event).status == 503
    assert "DATABASE_SECRET_ARN" in output()


def test_a_function_needs_only_what_it_uses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in get_args(Setting.__value__):
        if name not in {"DATABASE_SECRET_ARN", "JWT_SECRET_ARN"}:
            monkeypatch.delenv(name)
    assert send("get_session", http_event(token=signed())).status == 200


def test_while_the_key_is_replaced_tokens_of_both_are_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    event = http_event(token=signed())
    new, another = "the key after it, 32 characters at least", "another key, of 32 characters at least"
    both = secrets.JwtSecret.model_validate({"jwtSecret": new, "previousJwtSecret": JWT_SECRET})
    newest = secrets.JwtSecret.model_validate({"jwtSecret": new})
    monkeypatch.setattr(secrets.jwt_secret, "read", lambda **_: both)
    assert send("get_session", event).status == 200
    assert send("get_session", http_event(token=signed(new))).status == 200
    assert send("get_session", http_event(token=signed(another))).status == 401
    monkeypatch.setattr(secrets.jwt_secret, "read", lambda **_: newest)
    assert send("get_session", event).status == 401
