"""The watcher of `make run` names the files that changed, no matter how a change is reported."""

from pathlib import Path

from watchfiles import Change

from tools.local import hot_reload


def test_files_of_a_new_folder_count_and_byte_code_does_not_and_what_is_gone_counts_alone(tmp_path: Path) -> None:
    folder, gone = tmp_path / "get_access", tmp_path / "get_photo"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "handler.cpython-313.pyc").touch()
    changes = {(Change.added, str(folder))}
    assert hot_reload._files(changes) == set()
    (folder / "handler.py").touch()
    assert hot_reload._files(changes | {(Change.deleted, str(gone))}) == {folder / "handler.py"}
    assert hot_reload._files({(Change.modified, str(folder)), (Change.deleted, str(gone))}) == {gone}
