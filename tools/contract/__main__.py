"""`make openapi` writes what others build on anew; `make compatible BASE=<revision>` refuses what breaks them.

python -m tools.contract                   writes docs/openapi.json, docs/events, tables of docs/domain-events.md, and
                                           tells what in them breaks what was made for the files before
python -m tools.contract --against main    compares the files with those of a revision, and fails when they break it
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tools.contract import compatibility, document, events
from tools.local.arguments import Arguments

type Json = dict[str, Any]


class _Promised(NamedTuple):
    """What others build on: the API's description, and the schemas of events by their detail-types."""

    api: Json
    events: Mapping[str, Json]


def _published() -> _Promised:
    return _Promised(json.loads(document.FILE.read_text()), events.published())


def _of(revision: str) -> _Promised:
    """Return what a revision promised. Raises `CalledProcessError`."""
    files = _git("ls-tree", "--name-only", revision, f"{_name(events.FOLDER)}/").split()
    return _Promised(
        json.loads(_git("show", f"{revision}:{_name(document.FILE)}")),
        {
            file.rpartition("/")[2].removesuffix(".json"): json.loads(_git("show", f"{revision}:{file}"))
            for file in files
        },
    )


def _name(path: Path) -> str:
    return path.relative_to(document.REPOSITORY).as_posix()


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=document.REPOSITORY, capture_output=True, text=True, check=True).stdout


def _broken(old: _Promised, new: _Promised) -> list[str]:
    reasons = [*compatibility.incompatibilities(old.api, new.api), *events.incompatibilities(old.events, new.events)]
    return compatibility.but_newly_told(reasons)


def _write() -> str | None:
    """Write the files. Return an error message if they could not be written."""
    try:
        description = document.document()
    except FileNotFoundError as error:
        return f"{error.filename} is missing: each row of infra/endpoints.py has a handler"
    old = _published() if document.FILE.exists() else None
    document.FILE.write_text(document.text(description))
    events.write()
    operations = sum(len(methods) for methods in description["paths"].values())
    sys.stdout.write(f"Wrote docs/openapi.json: {operations} operations; docs/events: {len(events.EVENTS)} schemas\n")
    sys.stdout.writelines(f"Breaks what is out: {reason}\n" for reason in (_broken(old, _published()) if old else ()))
    return None


def _compare(revision: str) -> str | None:
    """Return how the files break what was made for those of a git revision, or None if they do not."""
    try:
        old = _of(revision)
    except subprocess.CalledProcessError as error:
        return f"git cannot show what {revision} promised: {error.stderr.strip()}"
    if reasons := _broken(old, _published()):
        return "\n".join(f"Breaks what was made for {revision}: {reason}" for reason in reasons)
    sys.stdout.write(f"docs/openapi.json and docs/events break nothing that was made for {revision}\n")
    return None


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--against", metavar="REVISION", help="the git revision whose files others built on")
    revision = parser.parse_args().against
    sys.exit(_write() if revision is None else _compare(revision))


if __name__ == "__main__":
    main()
