"""The virtual environment is made by a Python 3.13, whatever its name; where there is none, nothing is changed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.local.workspace import REPOSITORY

REAL = Path(sys.base_prefix) / "bin" / "python3.13"
# Without pip, it is made in a moment.
FIT = f'#!/bin/sh\n[ "$2" = venv ] && shift 2 && set -- -m venv --without-pip "$@"\nexec {REAL} "$@"\n'
OTHER_VERSION = "#!/bin/sh\nexit 1\n"
WITHOUT_VENV = f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1; esac\nexec {REAL} "$@"\n'


@pytest.mark.parametrize(
    ("programs", "named", "refusal"),
    [
        ({"bin/python3.13": WITHOUT_VENV, "bin/python3": OTHER_VERSION, "bin/python": FIT}, "", ""),
        ({"bin/python3": FIT, ".venv/bin/python3": OTHER_VERSION, ".venv/pyvenv.cfg": "of an older one"}, "", ""),
        ({"bin/python3": WITHOUT_VENV, ".venv/pyvenv.cfg": "old"}, "", "is needed, and is not python3.13, python3 or"),
        ({"bin/python3": FIT, "other": OTHER_VERSION}, "./other", "is needed, and is not ./other: uv python install"),
        ({"bin/python3": FIT, ".venv/notes": "mine"}, "", ".venv is not a virtual environment: move it away"),
    ],
)
def test_a_fit_python_makes_it_or_one_sentence_is_said(
    tmp_path: Path, programs: dict[str, str], named: str, refusal: str
) -> None:
    for name, text in programs.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(REPOSITORY / "tools/local/venv.sh"), named],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": f"{tmp_path}/.venv/bin:{tmp_path}/bin"},
    )  # fmt: skip
    if refusal:
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert refusal in done.stderr
        assert {name: (tmp_path / name).read_text() for name in programs} == programs
    else:
        version = [str(tmp_path / ".venv/bin/python"), "-c", "import sys; print(*sys.version_info[:2])"]
        assert subprocess.run(version, capture_output=True, text=True, check=True).stdout == "3 13\n"
