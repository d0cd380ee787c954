"""openapi-generator makes a Dart client of docs/openapi.json, as it is, that has the form which docs/clients.md shows.

There is no Dart SDK where our tests run: the package is read, and not compiled.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.contract.document import REPOSITORY


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("java"), reason="openapi-generator needs Java")
def test_the_package_is_dart_and_has_what_the_page_uses(tmp_path: Path) -> None:
    generator = Path(sys.executable).with_name("openapi-generator-cli")
    command: list[str | Path] = [generator, "generate", "--config", "tools/contract/dart.yaml", "--output", tmp_path]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    files = {path.relative_to(tmp_path / "lib").as_posix(): path.read_text() for path in tmp_path.glob("lib/**/*.dart")}
    code = "\n".join(files.values())
    assert "''" not in code, "a fixed boolean is no Dart"
    assert "ModelNull" not in code, "a class that is not written"
    assert set(re.findall(r"^import 'package:after_hours_client/(.*?)'", code, re.MULTILINE)) <= files.keys()

    # A union is a class with all that its alternatives have.
    denied = files["src/model/access_denied.dart"]
    types = {name: kind for kind, name in re.findall(r"^  final (\S+) (\w+);", denied, re.MULTILINE)}
    optional = dict.fromkeys(("upgrade", "requiresVerification", "requiresConsent"), "bool?")
    assert types == {"success": "bool", "error": "String", "code": "AccessDeniedCodeEnum", **optional}
    assert "@JsonValue(r'CONSENT_REQUIRED')" in denied

    shown = "".join(re.findall(r"```dart\n(.*?)```", (REPOSITORY / "docs/clients.md").read_text(), re.DOTALL))
    used = {*re.findall(r"\b(?:client|api|session)\.(\w+)\(", shown), *re.findall(r"\b([A-Z]\w+)\(\n? *\w+:", shown)}
    ours = {name for name in used if not re.match(r"Dio|FormData|MultipartFile|BaseOptions|Options|Duration", name)}
    assert ours >= {"getSessionApi", "requestPhotoUpload", "StartSession"}
    assert [name for name in sorted(ours) if not re.search(rf"\b{name}\(", code)] == []
