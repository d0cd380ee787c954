"""What members get is what docs/openapi.json says: of every endpoint each documented answer is seen, and no other."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from after_hours import auth, config
from after_hours.database import Database
from jsonschema import Draft202012Validator

from contract import document as contract_document
from contract.compatibility import resolved
from infra.endpoints import ENDPOINTS, Endpoint
from local.members import SEEDED
from local.samples import Sample, samples
from tests.support import sample_states
from tests.support.environment import UNREACHABLE, start_cold
from tests.support.handlers import Answer, send
from tests.support.phone import Phone
from tests.support.world import World

type Json = dict[str, Any]

FORMATS = Draft202012Validator.FORMAT_CHECKER
BY_FUNCTION = {endpoint.function: endpoint for endpoint in ENDPOINTS}
UNDOCUMENTED_HEADERS = {"content-type", "cache-control"}
SAMPLES = [sample for endpoint in ENDPOINTS for sample in samples().get(endpoint.function, {}).values()]
OFTEN = 12  # more often than any limit allows: ten photos may be uploaded in an hour


@pytest.fixture(scope="module")
def document() -> Json:
    return contract_document.document()


def operation_of(document: Json, endpoint: Endpoint) -> Json:
    operation: Json = document["paths"][endpoint.path][endpoint.method.lower()]
    return operation


def validate(document: Json, part: Json, body: Any) -> None:
    schema = part["content"]["application/json"]["schema"] | {"components": document["components"]}
    Draft202012Validator(schema, format_checker=FORMATS).validate(body)


def check(document: Json, endpoint: Endpoint, answer: Answer) -> None:
    responses = operation_of(document, endpoint)["responses"]
    assert str(answer.status) in responses, answer
    documented = resolved(document, responses[str(answer.status)])
    headers = {name.lower(): header.get("required", False) for name, header in documented.get("headers", {}).items()}
    assert answer.headers.keys() - UNDOCUMENTED_HEADERS <= headers.keys()
    assert {name for name, required in headers.items() if required} <= answer.headers.keys()
    assert ("retry-after" in answer.headers) == (
        answer.status in {429, 503} and answer.body["code"] != "OUTCOME_UNKNOWN"
    )
    if "content" in documented:
        validate(document, documented, answer.body)
    else:
        assert answer.body is None


def test_formats_are_checked() -> None:
    """Where a format's library is missing, the checker lets everything pass."""
    assert {"date-time", "uuid"} <= FORMATS.checkers.keys()


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_sample_gets_a_documented_answer(world: World, document: Json, sample: Sample) -> None:
    sample_states.prepare(sample.expected.given, world)
    event = sample.event(Phone(sample.expected.member).token)
    answer = send(sample.function, event)
    check(document, BY_FUNCTION[sample.function], answer)
    request = operation_of(document, BY_FUNCTION[sample.function]).get("requestBody")
    if request and answer.status < 400:
        validate(document, request, json.loads(event["body"]))


def documented_answers(document: Json, endpoint: Endpoint) -> Iterator[tuple[int, str | None]]:
    """Yield the status and code of each, None for a success."""
    for status, response in operation_of(document, endpoint)["responses"].items():
        if int(status) < 400:
            yield int(status), None
            continue
        schema = resolved(document, response)["content"]["application/json"]["schema"]
        for error in schema.get("oneOf", [schema]):
            yield int(status), resolved(document, error)["properties"]["code"]["const"]


OTHER_BODIES: dict[str, list[Json]] = {
    "extend_session": [
        {"additionalMinutes": 15, "expiresAt": "2026-01-01T00:00:00Z"},
        *[{"additionalMinutes": 60}] * 7,
    ]
}
TWELVE_STARTS = """
    DELETE FROM after_hours_sessions;
    INSERT INTO after_hours_sessions (user_id, expires_at, ended_at)
    SELECT 'local-entitled', now(), now() FROM generate_series(1, 12)
"""
run = Database._run


def lose_the_answer(database: Database, statement: str, *arguments: Any) -> Any:
    """Have the server go away when it has a statement, but not the one that asks who may call."""
    if "after_hours_entitlements" not in statement:
        statement = "SELECT pg_terminate_backend(pg_backend_pid());" + statement
    return run(database, statement, *arguments)


@pytest.fixture
def provoked(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Iterator[Answer]]:
    """Send the valid sample as everyone, in every state, again and again, and while something else is broken."""

    def provoke(function: str) -> Iterator[Answer]:
        valid = samples()[function]["valid"]

        def event(who: str = "entitled") -> Json:
            sample: Json = valid.event(Phone(who).token)
            return sample

        for who in SEEDED.keys() - {"entitled"}:  # nobody has a profile, and some may not have one
            yield send(function, event(who))
        sample_states.prepare(valid.expected.given, world)
        for _ in range(OFTEN):
            yield send(function, event())
        for body in OTHER_BODIES.get(function, ()):
            yield send(function, event() | {"body": json.dumps(body)})
        if function == "start_session":
            world.rows(TWELVE_STARTS)
            yield send(function, event())
        yield send(function, event() | {"headers": {}})
        if "body" in event():
            yield send(function, event() | {"body": "{"})
        with monkeypatch.context() as broken:
            broken.setattr(auth, "authenticate", lambda *_: 1 / 0)
            yield send(function, event())
        with monkeypatch.context() as broken:
            start_cold()
            nowhere = config.DatabaseSecret.model_validate(world.database.secret | {"port": 9})
            broken.setattr(config.database_secret, "read", lambda **_: nowhere)
            yield send(function, event())
        with monkeypatch.context() as broken:
            start_cold()
            broken.setenv("AWS_ENDPOINT_URL", UNREACHABLE)
            yield send(function, event())
        with monkeypatch.context() as broken:
            start_cold()
            broken.setattr(Database, "_run", lose_the_answer)
            yield send(function, event())

    return provoke


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.function)
def test_every_documented_answer_is_given_and_no_other(
    document: Json, provoked: Callable[[str], Iterator[Answer]], endpoint: Endpoint
) -> None:
    seen = set()
    for answer in provoked(endpoint.function):
        check(document, endpoint, answer)
        seen.add((answer.status, answer.body.get("code") if answer.body else None))
    assert seen == set(documented_answers(document, endpoint))
