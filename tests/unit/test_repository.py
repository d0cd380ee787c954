"""What surrounds the code agrees with it: the lock, the commands, and what CI runs."""

import re
import subprocess
from pathlib import Path

PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)
LOCK = Path("requirements.lock").read_text()


def pins(text: str) -> set[tuple[str, str]]:
    return {(name.lower().replace("_", "-"), version) for name, version in PINNED.findall(text)}


def test_the_lock_holds_what_the_requirements_name() -> None:
    named = [Path("requirements.txt"), *Path().glob("layers/*/requirements.txt"), *Path().glob("functions/*/*.txt")]
    wanted = set().union(*(pins(file.read_text()) for file in named))
    assert wanted
    assert wanted - pins(LOCK) == set(), "requirements.lock is stale: run `make lock`"


def test_everything_in_the_lock_has_hashes_and_no_address() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.split("make lock\n", 1)[1].strip())
    assert len(entries) > 100
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCK


def test_help_tells_of_every_command() -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)$", Path("Makefile").read_text(), re.MULTILINE)
    listed = subprocess.run(["make", "help"], check=True, capture_output=True, text=True).stdout
    assert sorted(re.findall(r"^  make ([a-z-]+)", listed, re.MULTILINE)) == sorted(phony.split())
    assert [line for line in listed.splitlines() if line.startswith("For ")] == [
        "For newcomers", "For testers", "For developers", "For ops",
    ]  # fmt: skip


def test_ci_runs_the_commands_that_people_run_with_actions_that_cannot_change() -> None:
    workflow = Path(".github/workflows/ci.yml").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)$", Path("Makefile").read_text(), re.MULTILINE)
    run = re.findall(r"- run: (.*)$", workflow, re.MULTILINE)
    assert {"make lint", "make test"} <= set(run)
    assert {command.split()[1] for command in run} <= set(phony.split())
    used = re.findall(r"uses: (\S+)", workflow)
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in used)
