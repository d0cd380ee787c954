"""openapi-generator makes a Dart client of docs/openapi.json, as it is, that has the form which docs/clients.md shows.

There is no Dart SDK where our tests run: what it makes is read, and not compiled.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.contract.document import REPOSITORY

pytestmark = [
    pytest.mark.slow,  # a generator
    pytest.mark.skipif(not shutil.which("java"), reason="openapi-generator needs Java"),
]

PAGE = REPOSITORY / "docs" / "clients.md"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dart` writes."""
    folder = tmp_path_factory.mktemp("dart")
    generator = Path(sys.executable).with_name("openapi-generator-cli")
    command: list[str | Path] = [generator, "generate", "--config", "tools/contract/dart.yaml", "--output", folder]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


def test_no_file_has_what_is_known_not_to_be_dart(package: Path) -> None:
    for file in package.glob("lib/**/*.dart"):
        code = file.read_text()
        assert "''" not in code, "a fixed boolean"
        assert "ModelNull" not in code, "a class that is not written"
        assert set(re.findall(r"^import 'package:after_hours_client/(.*?)'", code, re.MULTILINE)) <= {
            path.relative_to(package / "lib").as_posix() for path in package.glob("lib/**/*.dart")
        }


def members(package: Path, model: str) -> dict[str, str]:
    """The members of a class, with their types."""
    code = (package / "lib" / "src" / "model" / f"{model}.dart").read_text()
    return {name: kind for kind, name in re.findall(r"^  final (\S+) (\w+);", code, re.MULTILINE)}


def test_a_union_is_a_class_with_all_that_its_alternatives_have(package: Path) -> None:
    assert members(package, "access_denied") == {
        "success": "bool",
        "error": "String",
        "code": "AccessDeniedCodeEnum",
        "upgrade": "bool?",
        "requiresVerification": "bool?",
        "requiresConsent": "bool?",
    }
    code = (package / "lib" / "src" / "model" / "access_denied.dart").read_text()
    for value in ("PREMIUM_REQUIRED", "VERIFICATION_REQUIRED", "CONSENT_REQUIRED"):
        assert f"@JsonValue(r'{value}')" in code
    assert set(members(package, "profile_not_found_or_gateway404").values()) >= {"bool?", "String?"}
    assert members(package, "get_session_answer") == {"success": "bool", "active": "bool", "session": "Session?"}


def test_the_package_has_what_the_page_uses(package: Path) -> None:
    code = "\n".join(file.read_text() for file in package.glob("lib/**/*.dart"))
    shown = "".join(re.findall(r"```dart\n(.*?)```", PAGE.read_text(), re.DOTALL))
    used = set(re.findall(r"\b(?:client|api|session)\.(\w+)\(", shown)) | set(
        re.findall(r"\b([A-Z]\w+)\(\n? *\w+:", shown)
    )
    ours = {name for name in used if not re.match(r"Dio|FormData|MultipartFile|BaseOptions|Options|Duration", name)}
    assert ours >= {"getSessionApi", "requestPhotoUpload", "StartSession"}
    assert [name for name in sorted(ours) if not re.search(rf"\b{name}\(", code)] == []
