"""CONTRIBUTING.md's recipes add an endpoint, and one that lists, and the tests of what they touch pass.

Each adds its example by another name: a reader who follows it by the letter has the example's own in the tree.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.scratch import LINKED, REPOSITORY, copy_repository, environment, git


@dataclass(frozen=True)
class Recipe:
    title: str
    renamed: Mapping[str, str]
    changed: tuple[str, ...]  # beside what every endpoint changes
    tests: str  # of the endpoint's own, by their names


RECIPES = (
    Recipe(
        "## Add an endpoint\n", {"get_access": "get_recipe", "/access": "/recipe"},
        ("events/get_recipe/", "functions/get_recipe/"),
        "get_recipe",
    ),
    Recipe(
        "## Add an endpoint that lists\n",
        {"list_sessions": "list_recipe", "history": "recipe"},
        (
            "events/list_recipe/", "functions/list_recipe/", "tools/local/statements.py",
            "layers/after_hours/python/after_hours/members/recipe.py",
        ),
        "list_recipe or recipe._PAST",
    ),
)  # fmt: skip
EVERY_ENDPOINT_CHANGES = (
    "docs/openapi.json", "docs/rights.md", "infra/endpoints.py", "tests/infra/snapshots/",
    "tools/contract/examples.json",
)  # fmt: skip


# The tests that read the tables which a recipe adds to. Left out is what looks at no single row and takes long, the
# snapshots, which were written a moment ago, and what synthesizes further stages.
FURTHER_STAGES = (
    "tests/infra/test_database.py::test_one_role_for_all_is_warned_of",
    *(f"tests/infra/test_watching.py::test_the_runbook_has_each_alarm_and_no_other[{s}]" for s in ("private", "local")),
)
SELECTIONS = (
    [
        *(f"tests/unit/test_{name}.py" for name in ("compatibility", "document", "repository")),
        *(f"tests/infra/test_{name}.py" for name in ("api", "database", "functions", "watching")),
        *(f"--deselect={test}" for test in FURTHER_STAGES),
    ],
    ["tests/integration", "-k", " or ".join(recipe.tests for recipe in RECIPES)],
)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A copy of the repository as it stands here, committed.

    Like a temporary workspace, it is not in pytest's `tmp_path`: PostgreSQL, which root starts as another user, is
    installed below it.
    """
    with TemporaryDirectory(prefix="after-hours-") as folder:
        copy = Path(folder).resolve()
        copy.chmod(0o755)
        copy_repository(copy)
        git(copy, "init", "--quiet")
        (copy / ".git" / "info" / "exclude").write_text("".join(f"/{name}\n" for name in LINKED))
        git(copy, "add", ".")
        git(copy, "commit", "--quiet", "--message", "before")
        yield copy


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
        rows = re.compile(rf"^{table[1]}\b.*?^(?=[)}}])", re.MULTILINE | re.DOTALL)
        file.write_text(rows.sub(lambda found: found[0] + code, file.read_text(), count=1))
    else:
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)


def test_endpoints_are_added_as_told(scratch: Path) -> None:
    generating = set()
    for recipe in RECIPES:
        page = (scratch / "CONTRIBUTING.md").read_text().partition(recipe.title)[2].partition("\n## ")[0]
        for name, other in recipe.renamed.items():
            page = page.replace(name, other)
        for said, language, code in steps(page):
            if code.startswith("make"):
                generating.add(code)
            else:
                follow(scratch, said, language, code)
    [generate] = generating  # once for all recipes: it takes a minute
    follow(scratch, "", "bash", generate)

    changed = {
        re.sub(r"snapshots/\w+\.json$", "snapshots/", line[3:])
        for line in git(scratch, "status", "--porcelain").splitlines()
    }
    assert changed == {*EVERY_ENDPOINT_CHANGES, *(path for recipe in RECIPES for path in recipe.changed)}
    subprocess.run([sys.executable, "-m", "ruff", "check", "--quiet", "."], cwd=scratch, check=True)
    # `make lint` has left its cache, without which mypy takes a minute and a half.
    subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", REPOSITORY / ".mypy_cache"], cwd=scratch, check=True)
    for selection in SELECTIONS:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *selection],
            cwd=scratch, capture_output=True, text=True, check=False, env=environment(),
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
