"""`make openapi` writes docs/openapi.json and docs/events; `make compatible BASE=<revision>` refuses breaking changes.

python -m tools.contract                   writes docs/openapi.json and docs/events
python -m tools.contract --against main    compares the files with those of a revision, and fails when they break it
"""

import json
import subprocess
import sys
from pathlib import Path

from tools.contract import compatibility, document, events, published
from tools.local.arguments import Arguments


def _git(*arguments: str) -> str:
    """Return what git prints. Raises `CalledProcessError`."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=document.REPOSITORY, capture_output=True, text=True, check=True).stdout


def _write() -> None:
    description = document.document()
    document.FILE.write_text(document.text(description))
    events.write()
    operations = sum(len(methods) for methods in description["paths"].values())
    sys.stdout.write(f"Wrote docs/openapi.json: {operations} operations; docs/events: {len(events.EVENTS)} schemas\n")


def _compare(revision: str) -> str | None:
    """Return how the files break programs that were made for those of a git revision, or None if they do not."""
    file, folder = (path.relative_to(document.REPOSITORY).as_posix() for path in (document.FILE, events.FOLDER))
    try:
        old = json.loads(_git("show", f"{revision}:{file}"))
        names = _git("ls-tree", "--name-only", revision, f"{folder}/").split()
        old_events = {Path(name).stem: json.loads(_git("show", f"{revision}:{name}")) for name in names}
    except subprocess.CalledProcessError as error:
        return f"git cannot show what {revision} promised: {error.stderr.strip()}"
    reasons = compatibility.incompatibilities(old, json.loads(document.FILE.read_text()))
    reasons += events.incompatibilities(old_events, published.SCHEMAS)
    if broken := compatibility.without_exceptions(reasons):
        return "\n".join(f"Breaks what was made for {revision}: {reason}" for reason in broken)
    sys.stdout.write(f"docs/openapi.json and docs/events break nothing that was made for {revision}\n")
    return None


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--against", metavar="REVISION", help="the git revision whose files others built on")
    revision = parser.parse_args().against
    if revision is not None:
        sys.exit(_compare(revision))
    _write()


if __name__ == "__main__":
    main()
