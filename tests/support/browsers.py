"""A real browser for the tests of the page: the machine's own Chromium, or one from npm, unpacked below this folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.local.workspace import REPOSITORY

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_RECIPE = Path(__file__).with_name("browser")
_FOLDER = REPOSITORY / ".local" / "browser"
_TOOLS = Path(sys.executable).parent
_UNPACK = (
    "import('@sparticuz/chromium').then(({ default: it }) => it.executablePath()).then((path) => console.log(path))"
)


def executable_or_skip() -> Path:
    """Find a Chromium, or install one; where none can be had the test is skipped, and in CI it fails."""
    for command in _COMMANDS:
        if found := shutil.which(command):
            return Path(found)
    try:
        return _installed()
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"There is no Chromium here, and npm has none for us: {error.stderr.strip()}")


def _installed() -> Path:
    """Return the browser that `browser/package-lock.json` pins. Raises CalledProcessError."""
    shutil.copytree(_RECIPE, _FOLDER, dirs_exist_ok=True)
    _node("npm", "install", "--silent")  # quick where it is installed already
    return Path(_node("node", "--input-type=module", "--eval", _UNPACK))


def _node(command: str, *arguments: str) -> str:
    done = subprocess.run(
        [_TOOLS / command, *arguments],
        cwd=_FOLDER,
        env=os.environ | {"TMPDIR": str(_FOLDER)},  # where the browser is unpacked
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
