"""Clients that are generated of docs/openapi.json are strictly typed, and take a member through the whole story."""

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.deployed import NewMember
from tools.contract.document import FILE
from tools.local.stack import Stack
from tools.local.workspace import NODE_FOLDER, REPOSITORY
from tools.pictures.files import corners, encoded

STORIES = Path(__file__).parent / "clients"
TOOLS = Path(sys.executable).parent
NODE_TOOLS = REPOSITORY / "node_modules" / ".bin"


def run(folder: Path, *command: str | Path, **environment: str) -> str:
    path = os.pathsep.join(map(str, (NODE_FOLDER, TOOLS, os.environ["PATH"])))
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path} | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def story(stack: Stack, new_member: NewMember) -> dict[str, str]:
    """What a story is told of."""
    return {
        "API_URL": stack.api_url,
        "TOKEN": new_member().token,
        "TOKEN_NO_PREMIUM": new_member(subscribed=False).token,
        "PHOTO": base64.b64encode(encoded(corners())).decode(),
    }


def test_the_python_client_is_told_the_whole_story(tmp_path: Path, story: dict[str, str]) -> None:
    options = ("--meta", "none", "--fail-on-warning", "--path", FILE, "--output-path", "after_hours_client")
    run(tmp_path, TOOLS / "openapi-python-client", "generate", *options)
    shutil.copy(STORIES / "story.py", tmp_path)
    run(tmp_path, TOOLS / "mypy", "--config-file=", "--strict", "--follow-imports=silent", "story.py")
    assert run(tmp_path, sys.executable, "story.py", **story) == "The story is told.\n"


def test_the_typescript_client_is_told_the_whole_story(tmp_path: Path, story: dict[str, str]) -> None:
    (tmp_path / "node_modules").symlink_to(REPOSITORY / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name in ("story.ts", "tsconfig.json"):
        shutil.copy(STORIES / name, tmp_path)
    run(tmp_path, NODE_TOOLS / "openapi-typescript", FILE, "--output", "api.ts")
    run(tmp_path, NODE_TOOLS / "tsc", "--project", ".")
    assert run(tmp_path, "node", "story.js", **story) == "The story is told.\n"
