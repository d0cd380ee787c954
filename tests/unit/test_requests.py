"""What we send is what botocore's clients would send, by AWS's own descriptions, and what we read is in them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from after_hours import aws, domain_events, schedules
from after_hours.errors import SchedulerUnavailable, SecretRefused, ServiceUnavailable
from after_hours.schedules import Change, Kind
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from tests.support.environment import SETTINGS

ID = "0b6ac4ca-7b1a-4c5e-9d5c-0d3a1c0f4d11"
AT = "2026-11-25T01:02:03"
EVENT: domain_events.Event = {"id": ID, "type": "T", "occurredAt": "2026-11-25T01:02:03Z", "detail": {"userId": "a"}}

type Sent = tuple[str, str, bytes, Mapping[str, str]]  # method, path with its query, body, headers


@dataclass
class Wire:
    """What was sent, and what answers: each the status and what it says, the last for ever."""

    sent: list[Sent] = field(default_factory=list)
    answers: list[tuple[int, str, object]] = field(default_factory=lambda: [(200, "", {})])

    def send(self, _url: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        self.sent.append((method, path, body, headers))
        status, fault, content = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = type("Response", (), {"status": status, "headers": {"x-amzn-errortype": fault}})
        return response, json.dumps(content).encode()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    wire = Wire()
    monkeypatch.setattr(aws.Service, "_send", wire.send)
    return wire


@cache
def described(service: aws.Service) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service.name, "service-2"))


def operation(service: aws.Service, name: str) -> OperationModel:
    return described(service).operation_model(name)


def taken_by(of: OperationModel) -> StructureShape:
    assert of.input_shape
    return of.input_shape


def parameters(of: OperationModel, path: str, body: bytes) -> dict[str, Any]:
    """Return what a client would have been called with, to send this."""
    address = urlsplit(path)
    in_path = unquote(address.path.rpartition("/")[2])
    query = dict(parse_qsl(address.query, keep_blank_values=True))
    named: dict[str, Any] = json.loads(body or b"{}")
    for name, member in taken_by(of).members.items():
        where = member.serialization.get("location")
        if where == "uri":
            named[name] = in_path
        elif where == "querystring" and member.serialization["name"] in query:
            named[name] = query.pop(member.serialization["name"])
    assert query == {}
    return named


def mistakes(shape: Shape, value: Any) -> Iterator[str]:
    """Find what botocore leaves to the service: patterns, enumerations, and the longest texts and lists."""
    if isinstance(shape, StructureShape):
        for name, each in value.items():
            yield from mistakes(shape.members[name], each)
    elif shape.type_name == "list":
        for each in value:
            yield from mistakes(shape.member, each)  # type: ignore[attr-defined]
    elif isinstance(value, str):
        if (pattern := shape.metadata.get("pattern")) and not re.search(pattern, value):
            yield f"{shape.name}: {value} is not {pattern}"
        if value not in shape.metadata.get("enum", [value]):
            yield f"{shape.name}: {value} is not one of its values"
    if isinstance(value, str | list) and len(value) > shape.metadata.get("max", len(value)):
        yield f"{shape.name} is too long"


@pytest.mark.parametrize(
    ("method", "change", "name"),
    [
        ("POST", Change(ID, Kind.EXPIRY, AT, new=True), "CreateSchedule"),
        ("PUT", Change(ID, Kind.WARNING, AT), "UpdateSchedule"),
        ("DELETE", Change(ID, Kind.EXPIRY, None), "DeleteSchedule"),
    ],
)
def test_schedules_are_asked_for_as_a_client_would(wire: Wire, method: str, change: Change, name: str) -> None:
    schedules.carry_out(change)
    [sent] = wire.sent
    assert sent[0] == method
    compare(schedules._SCHEDULER, name, sent)


def test_events_are_put_as_a_client_would(wire: Wire) -> None:
    wire.answers = [(200, "", {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, {"ErrorCode": "a"}]})]
    assert domain_events.send([EVENT, EVENT]) == [ID]
    [sent] = wire.sent
    compare(domain_events._BUS, "PutEvents", sent)


def test_a_secret_is_read_as_a_client_would(wire: Wire) -> None:
    wire.answers = [(200, "", {"SecretString": "text"})]
    assert aws.secret("arn:aws:secretsmanager:a", region="us-east-1") == "text"
    [sent] = wire.sent
    compare(aws._SECRETS, "GetSecretValue", sent)


def compare(service: aws.Service, name: str, sent: Sent) -> None:
    method, path, body, headers = sent
    of = operation(service, name)
    given = parameters(of, path, body)
    assert not ParamValidator().validate(given, taken_by(of)).has_errors()
    assert list(mistakes(taken_by(of), given)) == []
    theirs = create_serializer(described(service).metadata["protocol"]).serialize_to_request(given, of)
    assert (method, urlsplit(path).path) == (theirs["method"], theirs["url_path"])
    assert dict(parse_qsl(urlsplit(path).query)) == theirs["query_string"] or not theirs["query_string"]
    assert json.loads(body or b"{}") == json.loads(theirs["body"] or b"{}")
    wanted = {key.lower(): value for key, value in theirs["headers"].items()}
    assert wanted.items() <= dict(headers).items()
    assert of.service_model.signing_name == service.name
    assert f"/{service.name}/aws4_request" in headers["authorization"]


@pytest.mark.parametrize(
    ("service", "name", "path"),
    [
        (domain_events._BUS, "PutEvents", ["Entries", "EventId"]),
        (aws._SECRETS, "GetSecretValue", ["SecretString"]),
    ],
)
def test_what_is_read_of_an_answer_is_in_it(service: aws.Service, name: str, path: list[str]) -> None:
    shape: Any = operation(service, name).output_shape
    for part in path:
        shape = (shape.member if shape.type_name == "list" else shape).members[part]
    assert shape.type_name == "string"


def answer(service: aws.Service, name: str, fault: str) -> tuple[int, str, object]:
    """Return how the service reports one of the faults that it describes for an operation."""
    shapes = {shape.name: shape for shape in operation(service, name).error_shapes}
    return shapes[fault].metadata["error"]["httpStatusCode"], f"{fault}:http://internal.amazon.com/", {"Message": "a"}


CREATE, UPDATE, DELETE = "CreateSchedule", "UpdateSchedule", "DeleteSchedule"


@pytest.mark.parametrize(
    ("change", "faults", "methods"),
    [
        (Change(ID, Kind.EXPIRY, AT, new=True), [(CREATE, "ConflictException")], ["POST", "PUT"]),
        (Change(ID, Kind.EXPIRY, AT), [(UPDATE, "ResourceNotFoundException")], ["PUT", "POST"]),
        (Change(ID, Kind.EXPIRY, AT), [(UPDATE, "ConflictException")], ["PUT", "PUT"]),
        (Change(ID, Kind.EXPIRY, None), [(DELETE, "ResourceNotFoundException")], ["DELETE"]),
        (Change(ID, Kind.EXPIRY, AT, new=True), [(CREATE, "ThrottlingException")], ["POST", "POST"]),
        (Change(ID, Kind.EXPIRY, None), [(DELETE, "InternalServerException")], ["DELETE", "DELETE"]),
    ],
)
def test_a_fault_of_the_scheduler_that_has_a_way_round_is_none(
    wire: Wire, change: Change, faults: list[tuple[str, str]], methods: list[str]
) -> None:
    wire.answers = [*(answer(schedules._SCHEDULER, *fault) for fault in faults), (200, "", {})]
    schedules.carry_out(change)
    assert [sent[0] for sent in wire.sent] == methods


@pytest.mark.parametrize("name", [CREATE, UPDATE, DELETE])
def test_a_fault_of_the_scheduler_that_lasts_is_one(wire: Wire, name: str) -> None:
    change = {
        CREATE: Change(ID, Kind.EXPIRY, AT, new=True),
        UPDATE: Change(ID, Kind.EXPIRY, AT),
        DELETE: Change(ID, Kind.EXPIRY, None),
    }[name]
    for shape in operation(schedules._SCHEDULER, name).error_shapes:
        if (name, shape.name) == (DELETE, "ResourceNotFoundException"):
            continue
        wire.answers = [answer(schedules._SCHEDULER, name, shape.name)]
        with pytest.raises(SchedulerUnavailable):
            schedules.carry_out(change)


@pytest.mark.parametrize(
    "content",
    [{}, {"Entries": None}, {"Entries": []}, {"Entries": [{"EventId": "1"}]}, {"Entries": "ab"}, {"Entries": [1, {}]}],
)
def test_an_answer_of_the_bus_that_does_not_tell_which_events_it_took_took_none(wire: Wire, content: object) -> None:
    wire.answers = [(200, "", content)]
    assert domain_events.send([EVENT, EVENT]) == []


@pytest.mark.parametrize(
    ("status", "fault", "kind"),
    [
        (400, "ResourceNotFoundException", SecretRefused),
        (400, "AccessDeniedException", SecretRefused),
        (400, "ThrottlingException", ServiceUnavailable),
        (500, "InternalServiceError", ServiceUnavailable),
    ],
)
def test_a_fault_of_secrets_manager_is_named_in_the_body(
    wire: Wire, status: int, fault: str, kind: type[Exception]
) -> None:
    wire.answers = [(status, "", {"__type": fault, "Message": "a"})]
    with pytest.raises(kind, match=fault):
        aws.secret("arn", region="us-east-1")
