"""A change of docs/openapi.json that breaks the apps that are out does not slip in."""

import json
import sys
from copy import deepcopy
from typing import Any

import pytest
import yaml

from tools.contract import __main__ as command
from tools.contract import document
from tools.contract.compatibility import Way, breaks, incompatibilities

type Json = dict[str, Any]
type Place = tuple[str | int, ...]

SMALL: Json = yaml.safe_load("""
openapi: 3.1.0
info: {title: Small, version: "1"}
servers: [{url: /api}]
security: [{token: []}]
paths:
  /things:
    get:
      operationId: getThings
      parameters: [{in: query, name: page, schema: {type: integer, maximum: 9}}]
      responses:
        "200":
          description: OK
          headers:
            ETag: {required: true, schema: {type: string}}
            Age: {schema: {type: integer, maximum: 60}}
          content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
        "404": {description: Not Found}
    post:
      operationId: createThing
      requestBody:
        content:
          application/json: {schema: {$ref: "#/components/schemas/Thing"}}
          text/plain: {schema: {type: string}}
      responses: {"204": {description: No Content}}
components:
  securitySchemes: {token: {type: http, scheme: bearer, description: The main app's.}}
  schemas: {Thing: {type: object, properties: {name: {type: string, maxLength: 9}}}}
""")
GET, POST = ("paths", "/things", "get"), ("paths", "/things", "post")
PAGE, OK, BODY = (*GET, "parameters", 0), (*GET, "responses", "200"), (*POST, "requestBody")
THING = ("components", "schemas", "Thing")
ASKED = {"in": "query", "name": "q", "required": True, "schema": {"type": "string"}}
GONE = object()


def grows(*values: str) -> Json:
    return {"properties": {"status": {"enum": list(values)}}}


# For each kind of change: the place in the document, its new value, and a part of the reason; none if it is harmless.
KINDS: dict[str, tuple[Place, object, str]] = {
    "operation": (GET, GONE, "GET /things is gone"),
    "name": ((*GET, "operationId"), "readThings", 'GET /things operationId is "readThings", was "getThings"'),
    "server of a path": (("paths", "/things", "servers"), [], 'GET /things path is {"servers": []}, was {}'),
    "security": (("security",), [{"key": []}], 'API security is [{"key": []}], was [{"token": []}]'),
    "scheme": (("components", "securitySchemes", "token", "scheme"), "basic", "scheme token scheme is"),
    "new required parameter": ((*POST, "parameters"), [ASKED], "POST /things query q is new"),
    "parameter gone": ((*GET, "parameters"), [], "GET /things query page is gone"),
    "parameter required": ((*PAGE, "required"), True, "GET /things query page required is true"),
    "parameter narrowed": ((*PAGE, "schema", "maximum"), 8, "GET /things query page maximum is 8, was 9"),
    "body gone": (BODY, GONE, "POST /things body application/json is gone"),
    "new required body": (
        (*GET, "requestBody"),
        {"required": True, "content": {"a/b": {}}},
        "GET /things body a/b is new",
    ),
    "body's content type": ((*BODY, "content", "text/plain"), GONE, "POST /things body text/plain is gone"),
    "body narrowed": ((*THING, "required"), ["name"], "POST /things body application/json.name is now required"),
    "status": (OK, GONE, "GET /things 200 is gone"),
    "another success": ((*GET, "responses", "202"), {"description": "Accepted"}, "GET /things 202 is new"),
    "header": ((*OK, "headers", "Age"), GONE, "GET /things 200 Age is gone"),
    "header that may be absent": ((*OK, "headers", "ETag", "required"), False, "ETag required is false"),
    "answer widened": ((*THING, "properties", "name", "maxLength"), 10, "200 application/json.name maxLength is 10"),
    "scheme, harmless": (("components", "securitySchemes", "other"), {"type": "http", "scheme": "basic"}, ""),
    "parameter, harmless": ((*POST, "parameters"), [ASKED | {"required": False}], ""),
    "operation, harmless": (("paths", "/things", "put"), {"operationId": "a", "responses": {"200": {}}}, ""),
    "refusal, harmless": ((*GET, "responses", "410"), {"description": "Gone"}, ""),
    "header, harmless": ((*OK, "headers", "New"), {"required": True}, ""),
    "texts, harmless": ((*GET, "summary"), "Read things", ""),
    "extension, harmless": ((*GET, "x-extension"), 1, ""),
}
TEXT, NULL = {"type": "string"}, {"type": "null"}
A, B = ({"type": "object", "properties": {"code": {"const": code}}, "required": ["code"]} for code in "AB")
ANSWER = {"properties": {"a": TEXT}}
BOTH, ONLY_SENT, ONLY_RECEIVED = set(Way), {Way.SENT}, {Way.RECEIVED}

# For each kind of change of a schema: the schema before and after, and the ways in which the change breaks a program.
SCHEMAS: dict[str, tuple[Json, Json, set[Way]]] = {
    "type": (TEXT, {"type": "integer"}, BOTH),
    "a limit, wherever it is": ({"items": ANSWER}, {"items": {"properties": {"a": TEXT | {"maxLength": 5}}}}, BOTH),
    "a keyword that is not known": ({}, {"contentEncoding": "base64"}, BOTH),
    "a member": (ANSWER, {"properties": {}}, BOTH),
    "a new member": (ANSWER, {"properties": {"a": TEXT, "b": TEXT}}, set()),
    "a new member that is required": (ANSWER, {"properties": {"a": TEXT, "b": TEXT}, "required": ["b"]}, ONLY_SENT),
    "no longer required": (ANSWER | {"required": ["a"]}, ANSWER, ONLY_RECEIVED),
    "a new value": ({"enum": ["A"]}, {"enum": ["A", "B"]}, ONLY_RECEIVED),
    "a value": ({"enum": ["A", "B"]}, {"enum": ["A"]}, BOTH),
    "a new value of what may grow": (grows("A"), grows("A", "B"), set()),
    "a value of what may grow": (grows("A", "B"), grows("A"), BOTH),
    "closed": ({}, {"additionalProperties": False}, BOTH),
    "may be null": ({"anyOf": [TEXT]}, {"anyOf": [TEXT, NULL]}, ONLY_RECEIVED),
    "may no longer be null": ({"anyOf": [TEXT, NULL]}, {"anyOf": [TEXT]}, BOTH),
    "a new error": (A, {"oneOf": [A, B], "required": ["code"], "discriminator": {"propertyName": "code"}}, set()),
    "an error": ({"oneOf": [B, A]}, {"oneOf": [A]}, BOTH),
    "a renamed error": (A, B, BOTH),
    "a new alternative": ({"oneOf": [A]}, {"oneOf": [A, ANSWER]}, ONLY_RECEIVED),
    "the order of alternatives, and texts": ({"oneOf": [A, B]}, {"oneOf": [B, A], "description": "a"}, set()),
}


def change(old: Json, where: Place, what: object) -> Json:
    """Return a copy of a document in which one part is another one, or gone."""
    changed = deepcopy(old)
    part: Any = changed
    for step in where[:-1]:
        part = part[step]
    if what is GONE:
        del part[where[-1]]
    else:
        part[where[-1]] = what
    return changed


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_change_of_a_schema_breaks_those_who_send_or_receive_it(kind: str) -> None:
    old, new, broken = SCHEMAS[kind]
    assert {way for way in Way if breaks(old, new, way, "it")} == broken


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_found_if_it_breaks_an_app(kind: str) -> None:
    where, what, reason = KINDS[kind]
    found = incompatibilities(SMALL, change(SMALL, where, what))
    assert any(reason in one for one in found) if reason else found == []


def test_the_files_are_held_against_those_of_a_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """test_previous_release.py does it with a revision that git has, which they do not break."""
    added: Json = {"get": {"responses": {}}}
    shown = {
        "main:docs/openapi.json": change(json.loads(document.FILE.read_text()), ("paths", "/old"), added),
        "main:docs/events/PhotoStarted.json": {},
    }
    monkeypatch.setattr(sys, "argv", ["contract", "--against", "main"])
    monkeypatch.setattr(
        command,
        "_git",
        lambda verb, *rest: json.dumps(shown[rest[0]]) if verb == "show" else "docs/events/PhotoStarted.json",
    )
    with pytest.raises(SystemExit, match=r"made for main: GET /old is gone\n.*made for main: PhotoStarted is gone"):
        command.main()
