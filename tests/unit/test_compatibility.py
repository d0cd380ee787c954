"""A change of docs/openapi.json that breaks the apps that are out does not slip in."""

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.contract import __main__ as command
from tools.contract import document, events
from tools.contract.compatibility import incompatibilities

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

# For each kind of change: the place in the document, its new value, and a part of the reason; none if it is harmless.
KINDS: dict[str, tuple[Place, object, str]] = {
    "operation": (GET, GONE, "GET /things is gone"),
    "name": ((*GET, "operationId"), "readThings", "GET /things operationId is readThings, was getThings"),
    "callback": ((*POST, "callbacks"), {"a": {}}, "POST /things callbacks is {'a': {}}, was not set"),
    "server": (("servers",), [{"url": "/new"}], "servers is [{'url': '/new'}]"),
    "server of a path": (("paths", "/things", "servers"), [{"url": "/old"}], "GET /things path is {'servers'"),
    "security": (("security",), [{"key": []}], "security is [{'key': []}], was [{'token': []}]"),
    "scheme": (("components", "securitySchemes", "token", "scheme"), "basic", "security scheme token scheme is basic"),
    "scheme gone": (("components", "securitySchemes", "token"), GONE, "security scheme token type is not set"),
    "new required parameter": ((*GET, "parameters"), [ASKED], "GET /things now requires query q"),
    "parameter gone": ((*GET, "parameters"), [], "GET /things no longer takes query page"),
    "parameter required": ((*PAGE, "required"), True, "GET /things query page is now required"),
    "parameter narrowed": ((*PAGE, "schema", "maximum"), 8, "GET /things query page maximum is 8, was 9"),
    "parameter written differently": ((*PAGE, "explode"), False, "GET /things query page explode is False"),
    "body gone": (BODY, GONE, "POST /things no longer takes a body"),
    "new required body": ((*GET, "requestBody"), {"required": True, "content": {}}, "GET /things now requires a body"),
    "body required": ((*BODY, "required"), True, "POST /things body is now required"),
    "body's content type": ((*BODY, "content", "text/plain"), GONE, "POST /things body is no longer text/plain"),
    "body narrowed": ((*THING, "required"), ["name"], "POST /things body name is now required"),
    "status": (OK, GONE, "GET /things no longer answers 200"),
    "another success": ((*GET, "responses", "202"), {"description": "Accepted"}, "GET /things may now answer 202"),
    "header": ((*OK, "headers", "Age"), GONE, "GET /things 200 no longer has the header Age"),
    "header that may be absent": ((*OK, "headers", "ETag", "required"), False, "header ETag may now be absent"),
    "header widened": ((*OK, "headers", "Age", "schema", "maximum"), 99, "200 header Age maximum is 99, was 60"),
    "answer widened": ((*THING, "properties", "name", "maxLength"), 10, "GET /things 200 name maxLength is 10, was 9"),
    "scheme, harmless": (("components", "securitySchemes", "other"), {"type": "http", "scheme": "basic"}, ""),
    "parameter, harmless": ((*POST, "parameters"), [ASKED | {"required": False}], ""),
    "parameter widened, harmless": ((*PAGE, "schema", "maximum"), 10, ""),
    "body, harmless": ((*GET, "requestBody"), {"content": {}}, ""),
    "body's content type, harmless": ((*BODY, "content", "text/csv"), {}, ""),
    "refusal, harmless": ((*GET, "responses", "410"), {"description": "Gone"}, ""),
    "header, harmless": ((*OK, "headers", "New"), {"required": True}, ""),
    "texts, harmless": ((*GET, "summary"), "Read things", ""),
    "texts of a scheme, harmless": (("components", "securitySchemes", "token", "description"), "Another one", ""),
    "extension, harmless": ((*GET, "x-extension"), 1, ""),
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_found_if_it_breaks_an_app(kind: str) -> None:
    where, what, reason = KINDS[kind]
    found = incompatibilities(SMALL, change(SMALL, where, what))
    assert any(reason in one for one in found) if reason else found == []


def test_the_files_are_held_against_those_of_a_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, schema = tmp_path / "docs" / "openapi.json", tmp_path / "docs" / "events" / "Started.json"
    schema.parent.mkdir(parents=True)
    file.write_text(json.dumps(SMALL))
    schema.write_text(json.dumps({"type": "object"}))
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(document, "REPOSITORY", tmp_path)
    monkeypatch.setattr(document, "FILE", file)
    monkeypatch.setattr(events, "FOLDER", schema.parent)
    monkeypatch.setattr(sys, "argv", ["contract", "--against", "main"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code is None
    assert "break nothing that was made for main" in capsys.readouterr().out
    file.write_text(json.dumps(change(SMALL, ("paths", "/things"), GONE)))
    schema.unlink()
    with pytest.raises(SystemExit, match=r"made for main: GET /things is gone(.|\n)*made for main: Started is gone"):
        command.main()
