"""A change of docs/openapi.json that breaks the apps that are out does not slip in."""

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from contract import __main__ as command
from contract.compatibility import incompatibilities

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    written: Json = json.loads(Path("docs/openapi.json").read_text())
    return written


@pytest.fixture
def changed(document: Json) -> Json:
    return deepcopy(document)


def _start(document: Json) -> Json:
    schema: Json = document["components"]["schemas"]["StartSession"]
    return schema


def _platform(document: Json) -> Json:
    schema: Json = document["components"]["schemas"]["DeviceFingerprint"]["properties"]["platform"]
    return schema


def _session(document: Json) -> Json:
    schema: Json = document["components"]["schemas"]["Session"]
    return schema


BREAKING: dict[str, Callable[[Json], object]] = {
    "GET /session is gone": lambda document: document["paths"].pop("/session"),
    "GET /session 200 no longer has session.expiresAt": (
        lambda document: _session(document)["properties"].pop("expiresAt")
    ),
    "GET /session 200 no longer has session.expiresAt (required)": (
        lambda document: _session(document)["required"].remove("expiresAt")
    ),
    "GET /session 200 no longer has session.remainingSeconds (integer)": (
        lambda document: _session(document)["properties"]["remainingSeconds"].update(type="string")
    ),
    "GET /session 200 may now have null for session.expiresAt": (
        lambda document: _session(document)["properties"]["expiresAt"].update(type=["string", "null"])
    ),
    "GET /session 200 no longer has active (False)": (
        lambda document: document["components"]["schemas"]["LiveOrNotLive"]["oneOf"].pop()
    ),
    "GET /session 403 no longer has code ('CONSENT_REQUIRED')": (
        lambda document: document["components"]["schemas"]["AccessDenied"]["oneOf"].pop()
    ),
    "POST /session/start no longer takes duration (60)": (
        lambda document: _start(document)["properties"]["duration"]["enum"].remove(60)
    ),
    "POST /session/start no longer takes deviceFingerprint.platform": (
        lambda document: document["components"]["schemas"]["DeviceFingerprint"]["properties"].pop("platform")
    ),
    "POST /session/start now requires deviceFingerprint": (
        lambda document: _start(document)["required"].append("deviceFingerprint")
    ),
    "POST /session/start now limits latitude (minimum -60)": (
        lambda document: _start(document)["properties"]["latitude"].update(minimum=-60)
    ),
    "POST /session/start now limits deviceFingerprint.platform (maxLength 10)": (
        lambda document: _platform(document)["anyOf"][0].update(maxLength=10)
    ),
    "POST /session/start no longer answers 201": (
        lambda document: document["paths"]["/session/start"]["post"]["responses"].pop("201")
    ),
    "POST /profile 409 no longer has code ('PROFILE_EXISTS')": (
        lambda document: document["components"]["schemas"]["ProfileExists"]["properties"]["code"].update(const="NEW")
    ),
}


@pytest.mark.parametrize("reason", BREAKING)
def test_a_change_that_breaks_an_app_is_noticed(document: Json, changed: Json, reason: str) -> None:
    BREAKING[reason](changed)
    assert reason in incompatibilities(document, changed)


def test_a_change_that_adds_is_not_a_break(document: Json, changed: Json) -> None:
    changed["paths"]["/new"] = changed["paths"]["/session"]
    _session(changed)["properties"]["new"] = {"type": ["string", "null"]}
    _session(changed)["required"].append("new")
    _start(changed)["properties"]["new"] = {"type": "string", "maxLength": 10}
    _platform(changed)["anyOf"][0]["maxLength"] = 40
    _start(changed)["properties"]["duration"]["enum"].append(90)
    assert incompatibilities(document, changed) == []


@pytest.fixture
def repository(tmp_path: Path, document: Json, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose one commit holds the document."""
    file = tmp_path / "docs" / "openapi.json"
    file.parent.mkdir()
    file.write_text(json.dumps(document))
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "-m", "first"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(command, "REPOSITORY", tmp_path)
    monkeypatch.setattr(command, "FILE", file)
    monkeypatch.setattr(sys, "argv", ["contract", "--against", "main"])
    return tmp_path


def test_the_file_is_held_against_the_one_of_a_revision(
    repository: Path, changed: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code is None
    assert "breaks no app" in capsys.readouterr().out
    changed["paths"].pop("/session")
    (repository / "docs" / "openapi.json").write_text(json.dumps(changed))
    with pytest.raises(SystemExit, match="made for main: GET /session is gone"):
        command.main()


def test_a_revision_that_git_does_not_know_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["contract", "--against", "nowhere"])
    with pytest.raises(SystemExit, match="nowhere"):
        command.main()
