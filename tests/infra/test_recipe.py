"""CONTRIBUTING.md's recipe adds an endpoint in five places, and the tests that matter for it pass."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scratch import LINKED, copy_repository, environment, git

TESTS = (
    ["tests/unit/test_document.py", "tests/unit/test_compatibility.py"],
    ["tests/infra/test_functions.py", "tests/infra/test_api.py", "-k", "get_access or row"],
    ["tests/integration/test_events.py", "tests/integration/test_contract.py", "-k", "get_access"],
)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A copy of the repository as it stands here, committed."""
    copy = tmp_path / "copy"
    copy_repository(copy)
    git(copy, "init", "--quiet")
    (copy / ".git" / "info" / "exclude").write_text("".join(f"/{name}\n" for name in LINKED))
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "--message", "before")
    return copy


def steps(recipe: str) -> Iterator[tuple[str, str, str]]:
    """Yield what each numbered step says, its code's language, and the code."""
    for said, language, code in re.findall(r"^\d\. (.*?)^ +```(\w+)\n(.*?)^ +```$", recipe, re.MULTILINE | re.DOTALL):
        yield said, language, re.sub(r"^ {3}", "", code, flags=re.MULTILINE)


def follow(copy: Path, said: str, language: str, code: str) -> None:
    if language == "bash":
        subprocess.run(["bash", "-euc", code], cwd=copy, check=True, env=environment())
        return
    [name] = re.findall(r"`([\w/]+\.py)`", said)[:1]
    file = copy / name
    if table := re.search(r"at the end of `(\w+)`", said):
        rows = re.compile(rf"^{table[1]}\b.*?^(?=[)}}]$)", re.MULTILINE | re.DOTALL)
        file.write_text(rows.sub(lambda found: found[0] + code, file.read_text(), count=1))
    else:
        file.parent.mkdir()
        file.write_text(code)


@pytest.mark.timeout(600)
def test_an_endpoint_is_added_in_five_places(scratch: Path) -> None:
    recipe = (scratch / "CONTRIBUTING.md").read_text().partition("## Add an endpoint")[2].partition("\n## ")[0]
    for step in steps(recipe):
        follow(scratch, *step)

    changed = [line[3:] for line in git(scratch, "status", "--porcelain").splitlines()]
    assert sorted(changed) == [
        "contract/examples.json",
        "contract/operations.py",
        "docs/openapi.json",
        "docs/rights.md",
        "events/get_access/",
        "functions/get_access/",
        "infra/endpoints.py",
    ]
    subprocess.run([sys.executable, "-m", "ruff", "check", "--quiet", "."], cwd=scratch, check=True)
    for selection in TESTS:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *selection],
            cwd=scratch, capture_output=True, text=True, check=False, env=environment(),
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
