"""Generators make clients of docs/openapi.json, as it is: strict types for TypeScript, and docs/clients.md's Dart."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.contract.document import FILE
from tools.local.workspace import NODE_FOLDER, REPOSITORY

MODULES = REPOSITORY / "node_modules"
CALL = """
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const body = { duration: 15, latitude: 40.7411, longitude: -73.9897 } as const;
const { data, error } = await createClient<paths>().POST("/session/start", { body });
if (error?.code === "SESSION_ALREADY_ACTIVE") error.session.id satisfies string;
if (error?.code === "VALIDATION_ERROR") error.errors[0]?.field satisfies string | undefined;
// @ts-expect-error: only some errors have a session
error?.session;
data?.session.expiresAt satisfies string | undefined;
// @ts-expect-error: a duration that there is not
await createClient<paths>().POST("/session/start", { body: { ...body, duration: 20 } });
"""
OPTIONS = "--noEmit --strict --exactOptionalPropertyTypes --target es2024 --module nodenext --lib es2024,dom"


def run(folder: Path, *command: str | Path) -> None:
    path = os.pathsep.join((str(NODE_FOLDER), os.environ["PATH"]))
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_generated_types_are_strict_and_know_each_error_by_its_code(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "call.ts").write_text(CALL)
    run(tmp_path, MODULES / ".bin/openapi-typescript", FILE, "--output", "api.ts")
    run(tmp_path, MODULES / ".bin/tsc", *OPTIONS.split(), "call.ts")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("java"), reason="openapi-generator needs Java")
def test_the_package_is_dart_and_has_what_the_page_uses(tmp_path: Path) -> None:
    """There is no Dart SDK where our tests run: the package is read, and not compiled."""
    generator = Path(sys.executable).with_name("openapi-generator-cli")
    run(REPOSITORY, generator, "generate", "--config", "tools/contract/dart.yaml", "--output", tmp_path)
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
