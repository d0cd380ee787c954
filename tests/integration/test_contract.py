"""Real answers are as docs/openapi.json describes them: every endpoint gives each documented answer, and no other.

Each sample event has the outcome that `expected.json` beside it promises, in the state that it names.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from after_hours.entrypoints import auth
from after_hours.foundation import secrets
from after_hours.foundation.database import Database
from jsonschema import Draft202012Validator

from infra.endpoints import ENDPOINTS, Endpoint
from tests.support.environment import JWT_SECRET, UNREACHABLE, start_cold
from tests.support.examples import Examples
from tests.support.handlers import Answer, invoke, send
from tests.support.phone import Phone
from tests.support.world import World
from tools.contract import document as contract_document
from tools.contract.compatibility import resolved
from tools.contract.published import closed
from tools.local import members, postgres
from tools.local.members import SAMPLE, SEEDED
from tools.local.samples import Given, Sample, samples

type Json = dict[str, Any]

FORMATS = Draft202012Validator.FORMAT_CHECKER
UNDOCUMENTED_HEADERS = {"content-type", "cache-control"}
JOBS = [sample for named in samples().values() for sample in named.values() if sample.expected.status is None]
OFTEN = 12  # more often than any limit allows: ten photos may be uploaded in an hour


@pytest.fixture(scope="module")
def document() -> Json:
    """As it is published, but closed: an answer has no field that is not described."""
    description: Json = closed(contract_document.document())
    return description


@pytest.fixture(scope="module")
def examples(request: pytest.FixtureRequest) -> Iterator[Examples]:
    """Those of tools/contract/examples.json; or none, to be filled and written there."""
    if request.config.getoption("--write-examples"):
        new = Examples()
        yield new
        new.save()
    else:
        yield Examples.load()


def operation_of(document: Json, endpoint: Endpoint) -> Json:
    operation: Json = document["paths"][endpoint.path][endpoint.method.lower()]
    return operation


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
        schema = documented["content"]["application/json"]["schema"] | {"components": document["components"]}
        Draft202012Validator(schema, format_checker=FORMATS).validate(answer.body)
        assert answer.body["success"] == (answer.status < 400)
    else:
        assert answer.body is None


def documented_answers(document: Json, endpoint: Endpoint) -> Iterator[tuple[int, str | None]]:
    """Yield the status and code of each, None for a success."""
    for status, response in operation_of(document, endpoint)["responses"].items():
        if int(status) < 400:
            yield int(status), None
            continue
        schema = resolved(document, response)["content"]["application/json"]["schema"]
        schema = resolved(document, schema)
        for error in schema.get("oneOf", [schema]):
            properties = resolved(document, error)["properties"]
            if (code := properties["code"]["const"]) != "GATEWAY":
                yield int(status), code


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
    """Have the server go away when it has a statement, except for the one that checks access."""
    if "after_hours_entitlements" not in statement:
        statement = "SELECT pg_terminate_backend(pg_backend_pid());" + statement
    return run(database, statement, *arguments)


def sent(function: str, who: str = "entitled") -> Json:
    event: Json = samples()[function]["valid"].event(Phone(who).token)
    return event


def in_every_state(function: str, world: World) -> Iterator[Answer]:
    for who in SEEDED.keys() - {"entitled"}:  # without a profile, and most without an entitlement
        yield send(function, sent(function, who))
    world.prepare(samples()[function]["valid"].expected.given)
    for _ in range(OFTEN):
        yield send(function, sent(function))
    if function == "get_photo":
        for sample in ("too_large", "valid"):
            world.rows("DELETE FROM after_hours_photo_uploads")
            world.prepare([Given.UPLOADED_PHOTO])
            text = samples()["process_photo"][sample].text(token="").replace(SAMPLE.id, Phone().id)
            invoke("process_photo", json.loads(text))
            yield send(function, sent(function))
    if function == "start_session":
        world.rows(TWELVE_STARTS)
        yield send(function, sent(function))


def with_other_requests(function: str) -> Iterator[Answer]:
    for body in OTHER_BODIES.get(function, ()):
        yield send(function, sent(function) | {"body": json.dumps(body)})
    yield send(function, sent(function) | {"headers": {}})
    if "body" in sent(function):
        body = json.loads(sent(function)["body"]) | {"unknown": 1}
        yield send(function, sent(function) | {"body": json.dumps(body)})
    if query := sent(function).get("queryStringParameters"):
        yield send(function, sent(function) | {"queryStringParameters": query | {"unknown": "1"}})


def while_something_is_broken(function: str, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    nowhere = secrets.DatabaseSecret.model_validate(world.database.secret | {"port": 9})
    faults: list[Callable[[pytest.MonkeyPatch], None]] = [
        lambda patch: patch.setattr(auth, "authenticate", lambda *_: 1 / 0),
        lambda patch: patch.setattr(secrets.database_secret, "read", lambda **_: nowhere),
        lambda patch: patch.setenv("AWS_ENDPOINT_URL", UNREACHABLE),
        lambda patch: patch.setattr(Database, "_run", lose_the_answer),
    ]
    for fault in faults:
        with monkeypatch.context() as patch:
            start_cold()
            fault(patch)
            yield send(function, sent(function))


def prepare_for(sample: Sample, world: World) -> None:
    world.begin_anew()
    caller = replace(SEEDED[sample.expected.member], id=SAMPLE.id)
    members.save(world.own_connection, caller)
    world.prepare(sample.expected.given, caller.id)


def to_the_samples(function: str, world: World) -> Iterator[Answer]:
    for sample in samples()[function].values():
        prepare_for(sample, world)
        answer = send(function, sample.event(members.token(SAMPLE.id, JWT_SECRET)))
        code = answer.body.get("code") if answer.body else None
        assert (answer.status, code) == (sample.expected.status, sample.expected.code), sample
        yield answer


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.function)
def test_every_documented_answer_is_given_and_no_other(
    world: World, document: Json, examples: Examples, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"date-time", "uuid"} <= FORMATS.checkers.keys(), "without its library a format is not checked"
    answered, own = set(), Examples()
    for answer in chain(
        in_every_state(endpoint.function, world),
        with_other_requests(endpoint.function),
        while_something_is_broken(endpoint.function, world, monkeypatch),
        to_the_samples(endpoint.function, world),
    ):
        check(document, endpoint, answer)
        answered.add((answer.status, answer.body.get("code") if answer.body else None))
        for kept in (own, examples):
            if answer.body:
                kept.add(endpoint.function, answer.body)
    assert answered == set(documented_answers(document, endpoint))
    stale = "the examples are not the real answers: run `make openapi`"
    assert own.successes == {key: examples.successes[key] for key in own.successes}, stale
    assert own.errors == {code: examples.errors[code] for code in own.errors}, stale


def test_every_function_has_a_valid_sample() -> None:
    functions = {path.parent.name for path in Path("functions").glob("*/handler.py")}
    assert functions == {function for function, named in samples().items() if "valid" in named}


@pytest.mark.parametrize("sample", JOBS, ids=str)
def test_a_job_sample_has_its_outcome(
    world: World, sample: Sample, migrated: postgres.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_for(sample, world)
    if sample.function == "migrate_database":  # it alone is given the owner's secret
        owner = secrets.DatabaseSecret.model_validate(migrated.secret)
        monkeypatch.setattr(secrets.database_secret, "read", lambda **_: owner)
    event = sample.event(token="")
    if sample.expected.returns is not None:
        assert sample.expected.returns.items() <= world.run(sample.function, event).items()
    else:
        with pytest.raises(Exception, check=lambda error: type(error).__name__ == sample.expected.raises):  # noqa: B017 (`check` names it)
            world.run(sample.function, event)
