"""Generators make clients of docs/openapi.json, as it is: for TypeScript, Dart and Python."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from tools.contract.compatibility import resolved
from tools.contract.document import FILE
from tools.local.workspace import NODE_FOLDER, REPOSITORY

MODULES = REPOSITORY / "node_modules"
TOOLS = (NODE_FOLDER, MODULES / ".bin", Path(sys.executable).parent)
IN_TYPESCRIPT = """
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
IN_PYTHON = """
from after_hours_client import AuthenticatedClient
from after_hours_client.api.session import start_session
from after_hours_client.models import SessionAlreadyActive, SessionAnswer, StartSession, StartSessionDuration

def live_until(client: AuthenticatedClient) -> str | None:
    place = StartSession(duration=StartSessionDuration(15), latitude=40.7411, longitude=-73.9897)
    match start_session.sync(client=client, body=place):
        case SessionAnswer(session=session) | SessionAlreadyActive(session=session):
            return session.expires_at.isoformat()
        case _:
            return None
"""
PACKAGE = "after_hours_client"
TYPES = REPOSITORY / ".mypy_cache" / PACKAGE  # apart from those of `make lint`, which has other options
QUICK = "-XX:TieredStopAtLevel=1"  # Java would compile at length what runs for seconds


def run(folder: Path, *command: str | Path) -> None:
    path = os.pathsep.join([*map(str, TOOLS), os.environ["PATH"]])
    env = os.environ | {"PATH": path, "JAVA_TOOL_OPTIONS": QUICK}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_generated_types_are_strict_and_know_each_error_by_its_code(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "call.ts").write_text(IN_TYPESCRIPT)
    run(tmp_path, "openapi-typescript", FILE, "--output", "api.ts")
    run(tmp_path, "tsc", "--skipLibCheck", *OPTIONS.split(), "call.ts")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("java"), reason="openapi-generator needs Java")
def test_the_package_is_dart_and_has_what_the_page_uses(tmp_path: Path) -> None:
    """There is no Dart SDK where our tests run: the package is read, and not compiled."""
    run(REPOSITORY, "openapi-generator-cli", "generate", "--config", "tools/contract/dart.yaml", "--output", tmp_path)
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


def examples(document: Any) -> Any:
    """Yield each example of an answer: its operation's module in the client, the status and the body."""
    for operation in (each for path in document["paths"].values() for each in path.values()):
        name = re.sub("(?=[A-Z])", "_", operation["operationId"]).lower()
        module = f"{PACKAGE}.api.{operation['tags'][0]}.{name}"
        for status, response in operation["responses"].items():
            content = resolved(document, response).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                yield module, int(status), resolved(document, example)["value"]


@pytest.mark.slow
def test_python_s_client_is_strictly_typed_and_reads_each_documented_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--meta", "none", "--fail-on-warning", "--path", FILE, "--output-path", PACKAGE)
    run(tmp_path, "openapi-python-client", "generate", *options)
    (tmp_path / "call.py").write_text(IN_PYTHON)
    run(tmp_path, "mypy", "--cache-dir", TYPES, "--config-file=", "--strict", "--follow-imports=silent", "call.py")
    monkeypatch.syspath_prepend(tmp_path)
    every = list(examples(json.loads(FILE.read_text())))
    assert len(every) > 100
    for module, status, body in every:
        answer = import_module(module)._parse_response(client=None, response=httpx.Response(status, json=body))
        assert answer.to_dict().keys() == body.keys()
        assert "code" not in body or type(answer).__name__ == body["code"].title().replace("_", ""), body
