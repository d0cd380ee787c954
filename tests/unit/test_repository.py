"""What surrounds the code agrees with it: the lock, the commands, what CI runs, and the examples in docstrings."""

import ast
import doctest
import re
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import after_hours
import pytest
import yaml

PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)
LOCK = Path("requirements.lock").read_text()
COMMANDS = re.findall(r"^\.PHONY: (.*)$", Path("Makefile").read_text(), re.MULTILINE)[0].split()
WORKFLOWS = {path.stem: path.read_text() for path in Path(".github/workflows").glob("*.yml")}
PINNED_ACTION = re.compile(r"actions/[\w-]+@[0-9a-f]{40}")


def pins(text: str) -> set[tuple[str, str]]:
    return {(name.lower().replace("_", "-"), version) for name, version in PINNED.findall(text)}


def test_the_lock_holds_what_the_requirements_name() -> None:
    named = [Path("requirements.txt"), *Path().glob("layers/*/requirements.txt"), *Path().glob("functions/*/*.txt")]
    wanted = set().union(*(pins(file.read_text()) for file in named))
    assert wanted
    assert wanted - pins(LOCK) == set(), "requirements.lock is stale: run `make lock`"


def test_pages_name_commands_and_link_to_files_that_there_are() -> None:
    wrong = []
    for page in (*Path().glob("*.md"), *Path("docs").rglob("*.md")):
        text = page.read_text()
        code = "\n".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))
        commands = re.findall(r"^[` ]*make ([a-z-]+)", code, re.MULTILINE)
        files = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
        wrong += [f"{page}: make {command}" for command in commands if command not in COMMANDS]
        wrong += [f"{page}: {file}" for file in files if not (page.parent / file).exists()]
        sent = re.findall(r"(?:file://|FILE=)([\w-]+/[\w./-]+)", code)
        wrong += [f"{page}: {file}" for file in sent if not Path(file).exists()]
    assert wrong == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_runs_commands_that_there_are_with_no_key_of_aws_and_actions_that_cannot_change(name: str) -> None:
    text = WORKFLOWS[name]
    assert set(re.findall(r"- run: make (\S+)", text)) <= set(COMMANDS)
    assert all(map(PINNED_ACTION.fullmatch, re.findall(r"uses: (\S+)", text)))
    assert "secrets." not in text
    may_sign_in = {} if name == "ci" else {"id-token": "write"}
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"} | may_sign_in


def test_ci_tests_what_goes_through_staging_to_production() -> None:
    assert {"make lint", "make test"} <= set(re.findall(r"- run: (.*)$", WORKFLOWS["ci"], re.MULTILINE))
    jobs = yaml.safe_load(WORKFLOWS["deploy"])["jobs"]
    assert jobs["production"]["needs"] == "staging"
    assert {name: job.get("environment") for name, job in jobs.items()} == {
        "diff": None, "staging": "staging", "production": "production",
    }  # fmt: skip
    assert "head.repo.full_name == github.repository" in jobs["diff"]["if"], "a fork gets no token"
    assert "conclusion == 'success'" in jobs["staging"]["if"], "what CI refused is not deployed"
    run = {name: [step.get("run") for step in job["steps"]] for name, job in jobs.items()}
    assert "make deploy STAGE=staging" in run["staging"]
    assert "make deploy STAGE=prod" in run["production"]
    assert "make diff STAGE=prod" in run["diff"]


def syntax_of(*folders: str) -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for folder in folders for path in Path(folder).rglob("*.py")}


def test_files_and_functions_are_short() -> None:
    for path, module in syntax_of("layers", "functions", "infra", "migrations", "tests", "tools").items():
        assert len(path.read_text().splitlines()) <= 400, path
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{path}: {node.name}"


ROOMS = ("sweep", "members", "outbox", "entrypoints", "foundation", "images")


def test_imports_run_one_way_as_drawn() -> None:
    package = Path("layers/after_hours/python/after_hours")
    arrows, modules = set(), TopologicalSorter[str]()
    for path, module in syntax_of(str(package)).items():
        name = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("after_hours"):
                for imported in (f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)):
                    if (package.parent / imported.replace(".", "/")).with_suffix(".py").exists():
                        modules.add(name, imported)
                        arrows.add((name.split(".")[1], imported.split(".")[1]))
    modules.prepare()  # raises CycleError
    between = {(room, other) for room, other in arrows if room != other}
    drawn = re.findall(r"^    (\w+) --> (\w+)$", Path("CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert between == set(drawn)
    assert [(room, other) for room, other in between if ROOMS.index(room) > ROOMS.index(other)] == []
    assert {room for room, _ in between} == set(ROOMS) - {"foundation", "images"}


def test_the_examples_in_docstrings_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENT_BUS", "after-hours")
    modules = [import_module(module.name) for module in walk_packages(after_hours.__path__, "after_hours.")]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) >= 9
    assert sum(result.failed for result in results) == 0
