"""A secret that cannot be read again is used as it was last read; one that was revoked dies."""

import json

import pytest
from after_hours.foundation import secrets
from after_hours.foundation.faults import Misconfigured, SecretRefused, SecretsUnavailable
from pydantic import BaseModel

KEY, NEW = "a key that signs tokens, 32 characters", "the key after it, 32 characters at least"
GOOD = {"jwtSecret": KEY}


class World:
    """A Secrets Manager that answers, or fails, as it is told; and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.reads = 0
        self.answer: str | Exception = json.dumps(GOOD)

    def secret(self, *_: object, **__: object) -> str:
        self.reads += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(secrets, "_text", world.secret)
    monkeypatch.setattr("after_hours.foundation.secrets.time.monotonic", lambda: world.now)
    return world


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> secrets.Secret[secrets.JwtSecret]:
    monkeypatch.setenv("JWT_SECRET_ARN", "arn")
    return secrets.Secret(secrets.JwtSecret, "JWT_SECRET_ARN")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    metrics: list[str] = []
    monkeypatch.setattr(secrets, "count_fault", lambda metric, _: metrics.append(metric))
    return metrics


@pytest.mark.parametrize("previous", [None, "", NEW, "0123456789abcdef" * 4, "31415926535897932384626433832795"])
def test_a_previous_key_may_be_there(
    world: World, secret: secrets.Secret[secrets.JwtSecret], previous: str | None
) -> None:
    world.answer = json.dumps(GOOD | {"previousJwtSecret": previous})
    assert secret.read().keys == ((KEY, previous) if previous else (KEY,))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (secrets.JwtSecret, "jwtSecret"),
        (secrets.JwtSecret, "previousJwtSecret"),
        (secrets.LocationSecret, "locationKey"),
    ],
)
def test_a_key_that_can_be_guessed_is_refused_and_not_told(
    world: World, secret: secrets.Secret[secrets.JwtSecret], model: type[BaseModel], name: str
) -> None:
    for key in ("short", "x" * 64, "1234" * 16, "abcdefgh" + " " * 64, "0" * 63 + "1", 7):
        world.answer = json.dumps(GOOD | {name: key})
        with pytest.raises(Misconfigured, match=name) as refusal:
            secrets.Secret(model, "JWT_SECRET_ARN").read()
        assert repr(key) not in str(refusal.value)


def test_a_secret_is_read_once_in_five_minutes(world: World, secret: secrets.Secret[secrets.JwtSecret]) -> None:
    for _ in range(3):
        secret.read()
    world.now += 299
    secret.read()
    assert world.reads == 1
    world.answer = json.dumps(GOOD | {"jwtSecret": NEW})
    world.now += 2
    assert secret.read().jwt_secret == NEW
    assert world.reads == 2


def test_while_secrets_manager_is_silent_the_value_is_used_on_and_counted(
    world: World, secret: secrets.Secret[secrets.JwtSecret], counted: list[str]
) -> None:
    good = secret.read()
    world.answer = SecretsUnavailable("silent")
    for _ in range(100):
        world.now += 301
        assert secret.read() == good
    assert counted == ["SecretFaults"] * 100
    world.now += 1
    secret.read()
    assert world.reads == 101  # nobody waits for it again at once


def test_a_value_that_was_never_read_cannot_be_used_on(world: World, secret: secrets.Secret[secrets.JwtSecret]) -> None:
    world.answer = SecretsUnavailable("silent")
    with pytest.raises(SecretsUnavailable):
        secret.read()


@pytest.mark.parametrize(
    ("answer", "fault"), [(SecretRefused("AccessDenied"), SecretRefused), ('{"jwtSecret": "short"}', Misconfigured)]
)
def test_a_refused_secret_is_used_for_an_hour_at_most(
    world: World, secret: secrets.Secret[secrets.JwtSecret], answer: str | Exception, fault: type[Exception]
) -> None:
    secret.read()
    world.answer = answer
    world.now += 301
    for _ in range(59):
        secret.read()
        world.now += 61
    world.answer = SecretsUnavailable("silent")  # an outage does not bring back what was refused before it
    world.now += 61
    with pytest.raises(SecretsUnavailable):
        secret.read()
    world.answer = answer
    with pytest.raises(fault):
        secret.read()


def test_a_refusal_that_passes_is_forgotten(world: World, secret: secrets.Secret[secrets.JwtSecret]) -> None:
    good = world.answer
    secret.read()
    for answer in (SecretRefused("AccessDenied"), good) * 3:
        world.answer = answer
        world.now += 3000
        secret.read()


def test_after_a_refused_connection_the_secret_is_read_afresh(
    world: World, secret: secrets.Secret[secrets.JwtSecret]
) -> None:
    secret.read()
    world.answer = json.dumps(GOOD | {"jwtSecret": NEW})
    assert secret.read(fresh=True).jwt_secret == NEW
    world.answer = SecretsUnavailable("silent")
    assert secret.read(fresh=True).jwt_secret == NEW


def test_a_secret_that_lacks_something_is_counted_whether_or_not_an_older_one_is_held(
    world: World, secret: secrets.Secret[secrets.JwtSecret], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[str] = []
    monkeypatch.setattr(secrets, "count", counts.append)
    world.answer = "{}"
    with pytest.raises(Misconfigured):
        secret.read()
    world.answer = json.dumps(GOOD)
    secret.read()
    world.answer = "{}"
    assert secret.read(fresh=True).jwt_secret == GOOD["jwtSecret"]
    assert counts == ["SecretsIncomplete"] * 2
