"""The table of safeguards stays true: each edit applies to the code as it is, and what is left still parses."""

import ast
import shutil
from pathlib import Path

import pytest

from local.workspace import REPOSITORY
from soak.faults import FAULTS
from soak.proof import Shown, between, table
from soak.rules import ALWAYS, AT_REST
from soak.safeguards import SAFEGUARDS, Edit, EditDoesNotApply, Safeguard, apply

SWEEP = Path("functions/sweep/handler.py")
SENTENCES = [*ALWAYS, *AT_REST, *((REPOSITORY / "soak/checks.py").read_text().splitlines())]


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda safeguard: safeguard.name)
def test_a_safeguard_can_be_taken_out(safeguard: Safeguard, tmp_path: Path) -> None:
    for edit in safeguard.edits:
        (tmp_path / edit.file).parent.mkdir(parents=True, exist_ok=True)
        if not (tmp_path / edit.file).exists():
            shutil.copy(REPOSITORY / edit.file, tmp_path / edit.file)
        before = (tmp_path / edit.file).read_text()
        apply(edit, tmp_path)
        after = (tmp_path / edit.file).read_text()
        assert after != before
        if edit.file.endswith(".py"):
            ast.parse(after)
    assert set(safeguard.shown_by) <= FAULTS.keys()
    assert any(safeguard.seen_as in text for text in SENTENCES), "the soak never says this"


def test_each_duty_of_the_sweep_is_a_safeguard() -> None:
    duties = {line.split('"')[1] for line in (REPOSITORY / SWEEP).read_text().splitlines() if "    Duty(" in line}
    assert {f"duty {name}" for name in duties} <= {safeguard.name for safeguard in SAFEGUARDS}
    assert len(duties) >= 12


def test_an_edit_that_does_not_apply_fails(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old in ("x = 1", "y"):
        with pytest.raises(EditDoesNotApply):
            apply(Edit("a.py", old, ""), tmp_path)
    with pytest.raises(EditDoesNotApply):
        apply(Edit("b.py", "x", ""), tmp_path)


def test_the_table_tells_what_was_found_what_was_not_and_what_was_not_run() -> None:
    first, second = SAFEGUARDS[:2]
    shown = {
        first.name: Shown(code="c", safeguard=first.name, found=True, said=[f"Round 1: x {first.seen_as}"]),
        second.name: Shown(code="c", safeguard=second.name, found=False, said=[]),
    }
    lines = table(shown).splitlines()
    assert f"| {first.name} | {', '.join(first.shown_by)} | yes | “… {first.seen_as} …” |" in lines
    assert f"| {second.name} | {', '.join(second.shown_by)} | **no** |  |" in lines
    assert sum("not run" in line for line in lines) == len(SAFEGUARDS) - 2


def test_the_page_keeps_what_is_around_the_table() -> None:
    page = "before\n<!-- written by make soak-proof -->\nold\n<!-- to here -->\nafter\n"
    once = between(page, "new\n")
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert between(once, "new\n") == once
