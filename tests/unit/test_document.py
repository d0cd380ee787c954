"""docs/openapi.json is valid, and what the code says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from contract import document as contract_document
from contract.compatibility import incompatibilities, resolved
from infra.endpoints import ENDPOINTS, Endpoint

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


def test_an_endpoint_without_a_row_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_document, "ENDPOINTS", (*ENDPOINTS, Endpoint("GET", "/new", "get_new")))
    with pytest.raises(contract_document.OutdatedTableError, match="get_new"):
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


def test_every_object_is_closed_and_answers_always_have_all_members(document: Json) -> None:
    schemas = document["components"]["schemas"]
    objects = {name: schema for name, schema in schemas.items() if schema.get("type") == "object"}
    requests = {id(schema) for method in ("post", "patch") for schema in _requests(document, method)}
    assert all(schema["additionalProperties"] is False for schema in objects.values())
    assert all(
        schema["required"] == list(schema["properties"])
        for name, schema in objects.items()
        if id(schema) not in requests and name != "DeviceFingerprint"
    )


def test_leaving_needs_no_entitlement(document: Json) -> None:
    without = {
        (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "403" not in operation["responses"]
    }
    assert without <= {("delete", "/profile"), ("delete", "/profile/photo"), ("post", "/session/end")}
