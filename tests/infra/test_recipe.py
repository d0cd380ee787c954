"""CONTRIBUTING.md's recipe adds an endpoint in five places, and the tests of what it touches pass.

It adds its example by another name: who follows the recipe by the letter has `GET /access` in the tree.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scratch import LINKED, copy_repository, environment, git

# What reads the tables that the recipe adds to, but for what takes minutes and looks at no single row.
TESTS = (
    [f"tests/unit/test_{name}.py" for name in ("compatibility", "document", "repository")],
    ["tests/infra", "-k", "not (build or cfn_lint or make_synth or recipe.py)"],
    ["tests/integration", "-k", "get_recipe"],
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


def test_an_endpoint_is_added_in_five_places(scratch: Path) -> None:
    recipe = (scratch / "CONTRIBUTING.md").read_text().partition("## Add an endpoint")[2].partition("\n## ")[0]
    recipe = re.sub(r"(?<=[/\"_])access\b", "recipe", recipe)
    for step in steps(recipe):
        follow(scratch, *step)

    changed = [line[3:] for line in git(scratch, "status", "--porcelain").splitlines()]
    assert sorted(changed) == [
        "contract/examples.json",
        "contract/operations.py",
        "docs/openapi.json",
        "docs/rights.md",
        "events/get_recipe/",
        "functions/get_recipe/",
        "infra/endpoints.py",
    ]
    subprocess.run([sys.executable, "-m", "ruff", "check", "--quiet", "."], cwd=scratch, check=True)
    for selection in TESTS:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *selection],
            cwd=scratch, capture_output=True, text=True, check=False, env=environment(),
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
