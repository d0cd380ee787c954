"""`make soak-proof`: with one safeguard taken out of a copy of the code, the soak must fail, and say why.

python -m soak.proof [--only NAME …]

Results are kept in .local/soak-proof/shown.json for as long as the code stays as it is: an interrupted proof goes on
where it was.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from local.arguments import Arguments
from local.processes import end_on_any_interruption
from local.progress import clock
from local.workspace import DEFAULT_WORKSPACE, REPOSITORY, CommandError, Workspace, replace_file
from soak.results import Results
from soak.safeguards import SAFEGUARDS, EditDoesNotApply, Safeguard, apply

_FOLDER = DEFAULT_WORKSPACE.root / "soak-proof"
_SHOWN = _FOLDER / "shown.json"
_PAGE = REPOSITORY / "docs" / "soak.md"
_BEGIN, _END = "<!-- written by make soak-proof -->\n", "<!-- to here -->"
# Installed tools and builds, which the copies share: a build is named after the digest of what it is made of.
_SHARED = (".venv", "node_modules", ".local/ministack", ".build")
_RUN = ("functions/", "infra/", "layers/", "local/", "migrations/", "soak/")
_MINUTES = "1"
_SEED = "1"
_REST_SECONDS = "60"  # what a missing safeguard leaves undone stays undone


class Shown(BaseModel):
    """What the soak said when a safeguard was missing; `code` is the digest of what was run."""

    code: str
    safeguard: str
    found: bool
    said: list[str]


def main() -> int:
    options = _options()
    end_on_any_interruption()
    code = digest()
    shown = {each.safeguard: each for each in _load() if each.code == code}
    progress = clock()
    for safeguard in SAFEGUARDS:
        if safeguard.name in shown or (options.only and safeguard.name not in options.only):
            continue
        progress(f"without: {safeguard.name}")
        try:
            shown[safeguard.name] = _show(safeguard, code)
        except KeyboardInterrupt:
            print("interrupted; the same command goes on from here", file=sys.stderr)
            return 1
        except (CommandError, EditDoesNotApply) as error:
            print(error, file=sys.stderr)
            return 1
        progress(f"  {'found' if shown[safeguard.name].found else 'NOT FOUND'}")
        replace_file(_SHOWN, TypeAdapter(list[Shown]).dump_json(list(shown.values()), indent=2).decode())
    text = table(shown)
    print(text)
    _PAGE.write_text(between(_PAGE.read_text(), text))
    return 0 if all(safeguard.name in shown and shown[safeguard.name].found for safeguard in SAFEGUARDS) else 1


def table(shown: dict[str, Shown]) -> str:
    """Return the table as Markdown: what was taken out, with which faults, and what the soak said of it."""
    lines = ["| without | faults | found | what the soak says |", "|---|---|---|---|"]
    for safeguard in SAFEGUARDS:
        each = shown.get(safeguard.name)
        said = next((text for text in each.said if safeguard.seen_as in text), "") if each else ""
        found = "not run" if each is None else "yes" if each.found else "**no**"
        what = f"“… {safeguard.seen_as} …”" if said else ""
        lines.append(f"| {safeguard.name} | {', '.join(safeguard.shown_by)} | {found} | {what} |")
    return "\n".join(lines) + "\n"


def between(page: str, text: str) -> str:
    """Return the page with this text between the marks."""
    before, _, rest = page.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{text}\n{_END}{rest.partition(_END)[2]}"


def digest() -> str:
    """Return a digest of all that a soak runs."""
    total = hashlib.sha256()
    for name in _files():
        if name.startswith(_RUN):
            total.update(name.encode() + b"\0" + (REPOSITORY / name).read_bytes())
    return total.hexdigest()[:16]


def _show(safeguard: Safeguard, code: str) -> Shown:
    _clear()
    root = _FOLDER / safeguard.name.replace(" ", "-").replace("'", "")
    _copy(root)
    for edit in safeguard.edits:
        apply(edit, root)
    results = root / "results.json"
    arguments = ["--minutes", _MINUTES, "--seed", _SEED, "--rest-seconds", _REST_SECONDS, "--results", str(results)]
    for fault in safeguard.shown_by:
        arguments += ["--fault", fault]
    with (_FOLDER / f"{root.name}.log").open("w") as log:
        command = [sys.executable, "-m", "soak", *arguments]
        process = subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if not results.exists():
        raise CommandError(f"the soak did not come to its end: see {_FOLDER / root.name}.log")
    said = Results.model_validate_json(results.read_text()).violations
    return Shown(code=code, safeguard=safeguard.name, found=any(safeguard.seen_as in each for each in said), said=said)


def _clear() -> None:
    """Remove copies of earlier proofs, unless a system still runs there."""
    for root in [path for path in _FOLDER.glob("*/") if not Workspace(path / ".local" / "soak").is_occupied()]:
        shutil.rmtree(root, ignore_errors=True)


def _copy(root: Path) -> None:
    """Copy the working tree, and link what is installed. The database and logs of an earlier run are deleted."""
    shutil.rmtree(root, ignore_errors=True)
    for name in _files():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, target)
    for name in _SHARED:
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).exists():
            link.symlink_to((REPOSITORY / name).resolve())


def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file())


def _load() -> list[Shown]:
    try:
        return TypeAdapter(list[Shown]).validate_python(json.loads(_SHOWN.read_text()))
    except (FileNotFoundError, ValueError):
        return []


def _options() -> Namespace:
    parser = Arguments(__doc__)
    parser.add_argument("--only", action="append", choices=[each.name for each in SAFEGUARDS])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
