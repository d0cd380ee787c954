"""The virtual environment is made by a Python 3.13, whatever its name; where there is none, nothing is left of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.local.workspace import REPOSITORY

REAL = Path(sys.base_prefix) / "bin" / "python3.13"
# Without pip, it is made in a moment.
FIT = f'#!/bin/sh\n[ "$2" = venv ] && shift 2 && set -- -m venv --without-pip "$@"\nexec {REAL} "$@"\n'
SAYS_3_12 = "import sys; sys.implementation.cache_tag, sys.version_info = 'cpython-312', (3, 12); exec(sys.argv[2])"
OTHER_VERSION = f'#!/bin/sh\nexec {REAL} -c "{SAYS_3_12}" "$@"\n'
UNSELECTED = "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2; exit 127\n"
WITHOUT_VENV = f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1; esac\nexec {REAL} "$@"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with what the environment is made from, and `bin`, where every program of the machine is."""
    for name in ("Makefile", "requirements.lock", "tools/local/venv.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for name in ("expr", "getconf", "rm", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    return tmp_path


def install(machine: Path, programs: dict[str, str]) -> None:
    for name, text in programs.items():
        program = machine / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)


def make(machine: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [shutil.which("make") or "make", ".venv/.ready", *arguments], cwd=machine, capture_output=True, text=True,
        check=False, env={"PATH": str(machine / "bin"), "HOME": str(machine / "home")},
    )  # fmt: skip


def is_made(machine: Path) -> bool:
    version = ["-c", "import sys; print(*sys.version_info[:2])"]
    said = subprocess.run([machine / ".venv/bin/python", *version], capture_output=True, text=True, check=True).stdout
    return said == "3 13\n"


@pytest.mark.parametrize(
    "programs",
    [
        {"bin/python3.13": WITHOUT_VENV, "bin/python3": OTHER_VERSION, "bin/python": FIT},
        {"bin/python3": UNSELECTED, "home/.local/share/uv/python/cpython-3.13.9-linux/bin/python3.13": FIT},
        {"home/.pyenv/versions/3.13.0/bin/python3.13": FIT},
    ],
)
def test_a_fit_python_is_found_under_any_name(machine: Path, programs: dict[str, str]) -> None:
    install(machine, programs)
    make(machine)  # which fails for want of pip
    assert is_made(machine)


@pytest.mark.parametrize(
    ("programs", "arguments", "sentence"),
    [
        ({"bin/python3": OTHER_VERSION}, [], "Python 3.13 is needed, and no program here is that, under any name: "),
        ({"bin/python3": WITHOUT_VENV}, [], "bin/python3 is Python 3.13, but cannot make virtual environments: "),
        ({"bin/python3": FIT, "old": OTHER_VERSION}, ["PYTHON=./old"], "PYTHON=./old is not Python 3.13, which is"),
        ({"bin/python3": FIT}, ["PYTHON=python4"], "There is no program PYTHON=python4. Python 3.13 is needed: "),
        ({"bin/python3": FIT, ".venv/notes": "mine"}, [], ".venv is not a virtual environment: move it away"),
    ],
)
def test_no_other_makes_one_and_it_is_said_how_to_get_it(
    machine: Path, programs: dict[str, str], arguments: list[str], sentence: str
) -> None:
    install(machine, programs)
    refused = make(machine, *arguments)
    said, by_make = refused.stderr.splitlines()
    assert sentence in said
    assert by_make.startswith("make: ***")
    assert not (machine / ".venv/bin").exists()


def test_an_environment_of_another_version_is_made_anew_once_there_is_another_python(machine: Path) -> None:
    """As after an upgrade of the machine, which gave the name that the environment was made by to a newer version."""
    install(machine, {".venv/bin/python": OTHER_VERSION, ".venv/pyvenv.cfg": "", ".venv/.ready": ""})
    assert "Python 3.13 is needed" in make(machine).stderr
    assert (machine / ".venv/bin/python").read_text() == OTHER_VERSION
    install(machine, {"bin/python3": FIT})
    assert "is made anew" in make(machine).stdout
    assert is_made(machine)


def test_an_environment_that_is_a_link_is_not_made_anew(machine: Path) -> None:
    install(machine, {"bin/python3": FIT, "elsewhere/pyvenv.cfg": ""})
    (machine / ".venv").symlink_to("elsewhere")
    assert ".venv is a link" in make(machine).stderr
    assert [path.name for path in (machine / "elsewhere").iterdir()] == ["pyvenv.cfg"]
