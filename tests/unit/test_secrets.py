"""A secret that cannot be read again is used as it was last read; one that was revoked dies."""

import json
from typing import Any
from unittest.mock import Mock

import pytest
from after_hours.foundation import secrets
from after_hours.foundation.faults import Misconfigured, SecretRefused, SecretsUnavailable
from pydantic import BaseModel

KEY, NEW = "a key that signs tokens, 32 characters", "the key after it, 32 characters at least"
GOOD = {"jwtSecret": KEY}
SILENT, REFUSED = SecretsUnavailable("silent"), SecretRefused("AccessDenied")


class World:
    """A Secrets Manager that answers, or fails, as it is told; a clock that a test moves; and a secret."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JWT_SECRET_ARN", "arn")
        self.manager, self.clock = Mock(), Mock(return_value=1_000.0)
        self.faults, self.counts = Mock(), Mock()
        for name, fake in {"_text": self.manager, "count_fault": self.faults, "count": self.counts}.items():
            monkeypatch.setattr(secrets, name, fake)
        monkeypatch.setattr("after_hours.foundation.secrets.time.monotonic", self.clock)
        self.secret = secrets.Secret(secrets.JwtSecret, "JWT_SECRET_ARN")
        self.answer(GOOD)

    def answer(self, said: Exception | dict[str, Any]) -> None:
        is_fault = isinstance(said, Exception)
        self.manager.side_effect = said if is_fault else None
        self.manager.return_value = None if is_fault else json.dumps(said)

    def read(self, *, after: float = 0, fresh: bool = False) -> str:
        self.clock.return_value += after
        return self.secret.read(fresh=fresh).jwt_secret


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("previous", [None, "", NEW, "0123456789abcdef" * 4, "31415926535897932384626433832795"])
def test_a_previous_key_may_be_there(world: World, previous: str | None) -> None:
    world.answer(GOOD | {"previousJwtSecret": previous})
    assert world.secret.read().keys == ((KEY, previous) if previous else (KEY,))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (secrets.JwtSecret, "jwtSecret"),
        (secrets.JwtSecret, "previousJwtSecret"),
        (secrets.LocationSecret, "locationKey"),
    ],
)
def test_a_key_that_can_be_guessed_is_refused_and_not_told(world: World, model: type[BaseModel], name: str) -> None:
    for key in ("short", "x" * 64, "1234" * 16, "abcdefgh" + " " * 64, "0" * 63 + "1", 7):
        world.answer(GOOD | {name: key})
        with pytest.raises(Misconfigured, match=name) as refusal:
            secrets.Secret(model, "JWT_SECRET_ARN").read()
        assert repr(key) not in str(refusal.value)


def test_a_secret_is_read_once_in_five_minutes_or_afresh_after_a_refused_connection(world: World) -> None:
    assert {world.read(), world.read(), world.read(after=299)} == {KEY}
    assert world.manager.call_count == 1
    world.answer({"jwtSecret": NEW})
    assert world.read(after=2) == NEW
    world.answer(GOOD)
    assert world.read(fresh=True) == KEY
    world.answer(SILENT)
    assert world.read(fresh=True) == KEY


def test_while_secrets_manager_is_silent_the_value_is_used_on_and_counted(world: World) -> None:
    world.answer(SILENT)
    with pytest.raises(SecretsUnavailable):
        world.read()  # there is no value yet
    world.answer(GOOD)
    world.read()
    world.answer(SILENT)
    assert {world.read(after=301) for _ in range(100)} == {KEY}
    assert [call.args[0] for call in world.faults.call_args_list] == ["SecretFaults"] * 100
    world.read(after=1)
    assert world.manager.call_count == 102  # the second after a silence is not another wait


@pytest.mark.parametrize(("answer", "fault"), [(REFUSED, SecretRefused), ({"jwtSecret": "a"}, Misconfigured)])
def test_a_refused_secret_is_used_for_an_hour_at_most(
    world: World, answer: Exception | dict[str, Any], fault: type[Exception]
) -> None:
    world.read()
    world.answer(answer)
    world.read(after=301)
    for _ in range(58):
        world.read(after=61)
    world.answer(SILENT)  # an outage does not bring back what was refused before it
    with pytest.raises(SecretsUnavailable):
        world.read(after=122)
    world.answer(answer)
    with pytest.raises(fault):
        world.read()


def test_a_refusal_that_passes_is_forgotten(world: World) -> None:
    world.read()
    for answer in (REFUSED, GOOD) * 3:
        world.answer(answer)
        assert world.read(after=3000) == KEY


def test_a_secret_that_lacks_something_is_counted_whether_or_not_an_older_one_is_held(world: World) -> None:
    world.answer({})
    with pytest.raises(Misconfigured):
        world.read()
    world.answer(GOOD)
    world.read()
    world.answer({})
    assert world.read(fresh=True) == KEY
    assert [call.args for call in world.counts.call_args_list] == [("SecretsIncomplete",)] * 2
