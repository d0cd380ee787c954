"""docs/openapi.json is valid, what the code says, and such that strict clients and generators can be made of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra.endpoints import ENDPOINTS
from tools.contract import document as contract_document
from tools.contract.compatibility import incompatibilities, resolved
from tools.contract.published import closed
from tools.local.samples import samples

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return contract_document.document()


def test_the_file_is_up_to_date_and_breaks_no_app(document: Json) -> None:
    written = contract_document.FILE.read_text()
    assert incompatibilities(json.loads(written), document) == [], "this breaks the apps that are out"
    assert written == contract_document.text(document), "docs/openapi.json is stale: run `make openapi`"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for methods in document["paths"].values():
        yield from methods.items()


def _answers(document: Json) -> Iterator[tuple[str, str, Json]]:
    for _, operation in _operations(document):
        for status, answer in operation["responses"].items():
            yield operation["operationId"], status, resolved(document, answer)


def _requests(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield the schema of each body, and those of objects in it, with the method."""
    for method, operation in _operations(document):
        if body := operation.get("requestBody"):
            yield method, resolved(document, body["content"]["application/json"]["schema"])
    yield "post", document["components"]["schemas"]["DeviceFingerprint"]


def _is_valid(document: Json, schema: Json, value: object) -> bool:
    return Draft202012Validator(schema | {"components": document["components"]}).is_valid(value)


def test_a_change_is_not_empty_and_an_optional_field_of_a_post_may_be_null(document: Json) -> None:
    for method, schema in _requests(document):
        required = schema.get("required", ())
        if method == "patch":
            assert (required, schema["minProperties"]) == ((), 1)
        else:
            for name, field in schema["properties"].items():
                assert _is_valid(document, field, None) == (name not in required), name


def test_a_sample_that_is_taken_is_a_documented_request(document: Json) -> None:
    for endpoint in ENDPOINTS:
        body = document["paths"][endpoint.path][endpoint.method.lower()].get("requestBody")
        for name, sample in samples()[endpoint.function].items() if body else ():
            if sample.expected.status in {200, 201}:
                schema = body["content"]["application/json"]["schema"]
                assert _is_valid(document, schema, json.loads(sample.event("")["body"])), f"{endpoint.function} {name}"


def test_generators_are_spared_what_they_get_wrong(document: Json) -> None:
    text = json.dumps(document)
    assert '"default":' not in text, "clients would send it; TypeScript would demand the field"
    assert '"const": true' not in text, "generators make no valid Dart of it"
    assert '"const": false' not in text, "generators make no valid Dart of it"
    for _, status, answer in _answers(document):
        if status != "204":
            assert "oneOf" not in answer["content"]["application/json"]["schema"], "a union without a name"
    unions = {name: schema for name, schema in document["components"]["schemas"].items() if "oneOf" in schema}
    assert unions.keys() >= {"AccessDenied", "ChangeUnavailable", "SessionChangedOrSessionTooLong"}
    for union in unions.values():  # generators that know no unions find the members of all alternatives in it
        alternatives = [resolved(document, alternative) for alternative in union["oneOf"]]
        members = [alternative["properties"] for alternative in alternatives]
        assert union["properties"].keys() == set().union(*members)
        codes = [one["code"]["const"] for one in members if "const" in one["code"]]
        assert union["properties"]["code"]["enum"] == codes
        assert set(union.get("required", ())) == set.intersection(*[set(one["required"]) for one in alternatives])


def test_requests_are_closed_and_answers_open_with_all_their_members(document: Json) -> None:
    requests = {id(schema) for _, schema in _requests(document)}
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") != "object":
            continue
        if id(schema) in requests:
            assert schema["additionalProperties"] is False
        else:
            assert "additionalProperties" not in schema, "a field added later would break a strict client"
            if "oneOf" not in schema and name != "GatewayError":
                assert schema["required"] == list(schema["properties"])
        for member, described in schema["properties"].items():
            assert "description" in described or "$ref" in described, f"{name}.{member}"


def test_every_answer_with_a_body_has_examples_that_are_as_described(document: Json) -> None:
    strict = closed(document)
    for operation, status, answer in _answers(strict):
        if status == "204":
            continue
        content = answer["content"]["application/json"]
        examples, schema = content["examples"], resolved(strict, content["schema"])
        assert examples, f"{operation} {status}: run `make openapi`"
        assert [name for name, one in examples.items() if not _is_valid(strict, schema, one["value"])] == []
        codes = {resolved(strict, one)["properties"].get("code", {}).get("const") for one in schema.get("oneOf", ())}
        assert codes - {None} <= examples.keys()
        assert ("GATEWAY" in examples) == (status in {"404", "413", "429", "500", "503"})
    written, shown = json.loads(contract_document.EXAMPLES.read_text()), json.dumps(document)
    assert written["successes"].keys() <= {endpoint.function for endpoint in ENDPOINTS}
    assert not [code for code in written["errors"] if f'"{code}": {{"value"' not in shown], "of something else"
