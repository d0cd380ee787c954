"""docs/openapi.json is valid, and what the code says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra.endpoints import ENDPOINTS, Endpoint
from tools.contract import document as contract_document
from tools.contract.compatibility import incompatibilities, resolved
from tools.contract.components import closed

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return contract_document.document()


def test_the_file_is_up_to_date_and_breaks_no_app(document: Json) -> None:
    written = contract_document.FILE.read_text()
    assert incompatibilities(json.loads(written), document) == [], "this breaks the apps that are out"
    assert written == contract_document.text(document), "docs/openapi.json is stale: run `make openapi`"


def test_every_route_is_one_operation_and_there_is_no_other(document: Json) -> None:
    operations = {
        (method.upper(), path): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert operations.keys() == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    assert len(set(operations.values())) == len(ENDPOINTS)


def test_every_endpoint_says_what_it_is_for(document: Json) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"], operation["operationId"]
            assert operation["description"], operation["operationId"]


def test_an_endpoint_without_a_handler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_document, "ENDPOINTS", (*ENDPOINTS, Endpoint("GET", "/new", "get_new")))
    with pytest.raises(FileNotFoundError, match="get_new"):
        contract_document.document()


def test_the_document_is_valid(document: Json) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_what_is_there_is_referred_to(document: Json) -> None:
    text = json.dumps(document)
    for kind in ("responses", "schemas"):
        for name in document["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text


def _requests(document: Json, method: str) -> Iterator[Json]:
    for methods in document["paths"].values():
        if body := methods.get(method, {}).get("requestBody"):
            yield resolved(document, body["content"]["application/json"]["schema"])


def test_a_change_requires_no_field_and_is_not_empty(document: Json) -> None:
    changes = list(_requests(document, "patch"))
    assert changes
    for schema in changes:
        assert "required" not in schema
        assert schema["minProperties"] == 1


def test_defaults_are_said_in_words(document: Json) -> None:
    assert '"default":' not in json.dumps(document), "clients would send it; TypeScript would demand the field"
    fields = document["components"]["schemas"]["CreatePreferences"]["properties"]
    for name, default in {"maxDistanceKm": 10, "minAge": 18, "maxAge": 99}.items():
        assert f"When absent on creation: {default}." in fields[name]["description"]


def test_an_optional_field_of_a_post_may_be_null_and_a_required_one_may_not(document: Json) -> None:
    nested = document["components"]["schemas"]["DeviceFingerprint"]
    for schema in (*_requests(document, "post"), nested):
        for name, field in schema["properties"].items():
            nullable = Draft202012Validator(field | {"components": document["components"]}).is_valid(None)
            assert nullable == (name not in schema.get("required", ())), name


def _objects(document: Json) -> Iterator[tuple[str, Json]]:
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") == "object":
            yield name, schema


def test_requests_are_closed_and_answers_open_with_all_their_members(document: Json) -> None:
    requests = {id(schema) for method in ("post", "patch") for schema in _requests(document, method)}
    for name, schema in _objects(document):
        if id(schema) in requests or name == "DeviceFingerprint":
            assert schema["additionalProperties"] is False
        else:
            assert "additionalProperties" not in schema, "a field added later would break a strict client"
            if "oneOf" not in schema and name != "GatewayError":
                assert schema["required"] == list(schema["properties"])


def test_a_union_has_the_members_of_its_alternatives_for_generators_that_know_no_unions(document: Json) -> None:
    """Others may read each member: `error.code` compiles in TypeScript, whichever answer it is."""
    unions = {name: schema for name, schema in document["components"]["schemas"].items() if "oneOf" in schema}
    assert unions.keys() >= {"AccessDenied", "ChangeUnavailable", "SessionChangedOrSessionTooLong"}
    for union in unions.values():
        alternatives = [resolved(document, alternative) for alternative in union["oneOf"]]
        members = [alternative["properties"] for alternative in alternatives]
        assert union["properties"].keys() == set().union(*members)
        assert union["properties"]["code"]["enum"] == [
            one["code"]["const"] for one in members if "const" in one["code"]
        ]
        assert set(union.get("required", ())) == set.intersection(*[set(one["required"]) for one in alternatives])
        for name, member in union["properties"].items():
            for one in members:
                if name != "code" and name in one:
                    assert member == {key: value for key, value in one[name].items() if key != "examples"}


def test_no_boolean_is_fixed(document: Json) -> None:
    for fixed in ("true", "false"):
        assert f'"const": {fixed}' not in json.dumps(document), "generators make no valid Dart of it"


def test_a_closed_copy_takes_no_field_that_is_not_described(document: Json) -> None:
    answer = {"success": True, "active": False, "session": None}
    for description, takes in ((document, True), (closed(document), False)):
        schema = description["components"]["schemas"]["GetSessionAnswer"] | {"components": description["components"]}
        assert Draft202012Validator(schema).is_valid(answer)
        assert Draft202012Validator(schema).is_valid(answer | {"new": 1}) is takes
        assert not Draft202012Validator(schema).is_valid(answer | {"session": True})


def test_every_field_says_what_it_is(document: Json) -> None:
    silent = [
        f"{name}.{member}"
        for name, schema in _objects(document)
        for member, described in schema["properties"].items()
        if "description" not in described and "$ref" not in described
    ]
    assert silent == []


def _answers(document: Json) -> Iterator[tuple[str, str, Json]]:
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                yield operation["operationId"], status, resolved(document, answer)


def test_every_answer_with_a_body_has_examples_that_are_as_described(document: Json) -> None:
    strict = closed(document)
    for operation, status, answer in _answers(strict):
        if status == "204":
            continue
        content = answer["content"]["application/json"]
        assert content["examples"], f"{operation} {status}: run `make openapi`"
        for example in content["examples"].values():
            Draft202012Validator(content["schema"] | {"components": strict["components"]}).validate(example["value"])
        schema = resolved(strict, content["schema"])
        codes = {resolved(strict, one)["properties"].get("code", {}).get("const") for one in schema.get("oneOf", ())}
        assert codes - {None} <= content["examples"].keys()


def test_no_example_is_of_something_else(document: Json) -> None:
    examples = json.loads(contract_document.EXAMPLES.read_text())
    shown = json.dumps(document)
    assert examples["successes"].keys() <= {endpoint.function for endpoint in ENDPOINTS}
    assert not [code for code in examples["errors"] if f'"{code}": {{"value"' not in shown]


def test_what_api_gateway_answers_by_itself_is_described(document: Json) -> None:
    for operation, status, answer in _answers(document):
        own = status in {"404", "413", "429", "500", "503"}
        assert ("GATEWAY" in answer.get("content", {}).get("application/json", {}).get("examples", {})) == own
        assert operation
    statuses = {method: {*operation["responses"]} for method, operation in document["paths"]["/session/extend"].items()}
    assert statuses["post"] >= {"404", "413", "429", "500", "503"}


def test_no_union_is_without_a_name(document: Json) -> None:
    for _, status, answer in _answers(document):
        if status != "204":
            assert "oneOf" not in answer["content"]["application/json"]["schema"]


def test_links_lead_from_joining_to_leaving(document: Json) -> None:
    links = {
        operation: {link["operationId"] for link in answer["links"].values()}
        for operation, _, answer in _answers(document)
        if "links" in answer
    }
    found, new = set[str](), {"createProfile"}
    while new:
        found |= new
        new = {target for operation in new for target in links.get(operation, ())} - found
    assert {"requestPhotoUpload", "getPhoto", "startSession", "extendSession", "endSession", "deleteProfile"} <= found


def test_leaving_needs_no_entitlement(document: Json) -> None:
    without = {
        (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "403" not in operation["responses"]
    }
    assert without <= {("delete", "/profile"), ("delete", "/profile/photo"), ("post", "/session/end")}
