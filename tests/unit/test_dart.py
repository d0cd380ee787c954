"""openapi-generator makes a Dart client of docs/openapi.json that has the form which docs/clients.md shows."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contract import dart
from contract.document import EXAMPLES, document

pytestmark = pytest.mark.slow  # npm and a generator

PAGE = Path("docs/clients.md")


@pytest.fixture(scope="module")
def simple() -> dict[str, Any]:
    return dart.simplified(document())


def test_the_simplified_copy_has_neither_unions_nor_fixed_booleans(simple: dict[str, Any]) -> None:
    written = json.dumps(simple["components"]["schemas"])
    assert '"oneOf"' not in written
    assert '"const": true' not in written
    assert '"const": false' not in written


@pytest.mark.parametrize("name", ["live", "notLive"])
def test_what_was_a_union_takes_each_of_its_answers(simple: dict[str, Any], name: str) -> None:
    schema = simple["components"]["schemas"]["LiveOrNotLive"] | {"components": simple["components"]}
    answer = json.loads(EXAMPLES.read_text())["successes"]["get_session"][name]
    Draft202012Validator(schema).validate(answer)
    assert not Draft202012Validator(schema).is_valid(answer | {"session": 1})
    assert schema["required"] == ["success", "active", "session"]


def test_only_what_every_alternative_has_is_required(simple: dict[str, Any]) -> None:
    schemas = simple["components"]["schemas"]
    assert schemas["AccessDenied"]["required"] == ["success", "error", "code"]
    assert schemas["ChangeUnavailable"]["required"] == []


@pytest.mark.skipif(not shutil.which("java"), reason="openapi-generator needs Java")
def test_the_generated_package_has_what_the_page_uses(tmp_path: Path) -> None:
    dart.generate(tmp_path)
    code = "\n".join(file.read_text() for file in tmp_path.glob("lib/**/*.dart"))
    assert "''" not in code, "a fixed boolean, which is no Dart"
    assert "ModelNull" not in code
    assert re.search(r"class LiveOrNotLive \{.*final bool active;.*final Session\? session;", code, re.DOTALL)
    shown = "".join(re.findall(r"```dart\n(.*?)```", PAGE.read_text(), re.DOTALL))
    used = set(re.findall(r"\b(?:client|api|session)\.(\w+)\(", shown)) | set(
        re.findall(r"\b([A-Z]\w+)\(\n? *\w+:", shown)
    )
    ours = {name for name in used if not re.match(r"Dio|FormData|MultipartFile|BaseOptions|Options|Duration", name)}
    assert ours >= {"getSessionApi", "requestPhotoUpload", "StartSession"}
    assert [name for name in sorted(ours) if not re.search(rf"\b{name}\(", code)] == []
