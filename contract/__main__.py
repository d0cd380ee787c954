"""`make openapi` writes docs/openapi.json anew; `make compatible BASE=<revision>` refuses it when it breaks apps.

python -m contract                     writes the file, and tells what in it breaks the apps of the file before
python -m contract --against main      compares the file with that of a revision, and fails when it breaks apps
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from contract.compatibility import refused
from contract.document import FILE, REPOSITORY, OutdatedTableError, document, text

_NAME = FILE.relative_to(REPOSITORY).as_posix()


def _write() -> str | None:
    """Write the file. Return an error message if it could not be written."""
    try:
        new = document()
    except OutdatedTableError as error:
        return str(error)
    old = json.loads(FILE.read_text()) if FILE.exists() else new
    FILE.write_text(text(new))
    operations = sum(len(methods) for methods in new["paths"].values())
    sys.stdout.write(f"Wrote {_NAME}: {operations} operations\n")
    sys.stdout.writelines(f"Breaks the apps that are out: {reason}\n" for reason in refused(old, new))
    return None


def _compare(revision: str) -> str | None:
    """Return how the file breaks apps that were made for that of a git revision, or None if it does not."""
    try:
        old = _file_of(revision)
    except subprocess.CalledProcessError as error:
        return f"git cannot show {_NAME} of {revision}: {error.stderr.strip()}"
    if reasons := refused(old, json.loads(FILE.read_text())):
        return "\n".join(f"Breaks the apps that were made for {revision}: {reason}" for reason in reasons)
    sys.stdout.write(f"{_NAME} breaks no app that was made for {revision}\n")
    return None


def _file_of(revision: str) -> dict[str, Any]:
    command = ["git", "show", f"{revision}:{_NAME}"]
    shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    old: dict[str, Any] = json.loads(shown.stdout)
    return old


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REVISION", help="the git revision whose file apps were made for")
    revision = parser.parse_args().against
    sys.exit(_compare(revision) if revision else _write())


if __name__ == "__main__":
    main()
