"""The watcher of `make run` tells which files changed, however a change is seen."""

import time
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from watchfiles import Change

from tests.support.waiting import until
from tools.local import hot_reload
from tools.local.stack import DEPLOYED_AT_THE_NEXT_START, Stack


class NothingRuns:
    """In place of HotReload: all is left to a deployment."""

    def __init__(self, _stack: Stack) -> None: ...

    def can_renew(self, _changed: Path) -> bool:
        return False


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hot_reload, "REPOSITORY", tmp_path)
    monkeypatch.setattr(hot_reload, "HotReload", NothingRuns)
    for name in ("functions", "infra", "layers", "migrations"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_file_in_a_new_folder_is_told_whichever_is_seen_first(repository: Path) -> None:
    said: list[str] = []

    def is_told(name: str) -> bool:
        return any(name in line for line in said)

    with hot_reload.watching(cast("Stack", None), said.append):
        first = repository / "infra" / "first.py"

        def is_watching() -> bool:
            first.write_text(first.read_text() + "\n" if first.exists() else "")
            return is_told("infra/first.py")

        until(is_watching)
        for number in range(20):
            folder = repository / "functions" / f"get_{number}"
            folder.mkdir()
            time.sleep(0.01 * number)  # around the 50 ms after which changes are taken together
            (folder / "handler.py").write_text("")
            until(partial(is_told, f"functions/{folder.name}/handler.py"))
    told = [name for line in said for name in line.removesuffix(f": {DEPLOYED_AT_THE_NEXT_START}").split(", ")]
    assert {Path(name).suffix for name in told} == {".py"}  # never a folder


def test_byte_code_is_not_told_and_what_is_gone_is_told_when_nothing_else_is(repository: Path) -> None:
    folder, gone = repository / "functions" / "get_access", repository / "functions" / "get_photo"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "handler.cpython-313.pyc").touch()
    seen = {(Change.added, str(folder))}
    assert hot_reload._files(seen) == set()
    (folder / "handler.py").touch()
    assert hot_reload._files(seen) == {folder / "handler.py"}
    assert hot_reload._files(seen | {(Change.deleted, str(gone))}) == {folder / "handler.py"}
    assert hot_reload._files({(Change.modified, str(folder)), (Change.deleted, str(gone))}) == {gone}
