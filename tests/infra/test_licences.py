"""What runs on Lambda has licences that were reviewed."""

import re
from pathlib import Path

import pytest

from tools.ops import licences


def test_all_that_ships_has_a_licence_on_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    code = licences.main()
    listed = capsys.readouterr().out
    assert code == 0, listed
    assert "pydantic" in listed
    assert "libpq (psycopg2_binary)" in listed
    assert not re.search("x26[45]", listed)


def test_a_package_with_another_licence_or_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("# a package\nsix==1.17.0\n")
    for licence in ("GPL-3.0-only", None):
        monkeypatch.setattr(licences, "metadata", lambda _, licence=licence: {"License": licence})
        [part] = licences.packages([tmp_path / "requirements.txt"])
        assert (part.licence, part.accepted) == (licence or "unknown", False)


def test_a_library_that_nobody_looked_up_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wheel.libs").mkdir()
    for name in ("libcrypto-d03c352e.so.3", "libcrypto-d03c352e.so.4", "libx265-f7a03873.so.217"):
        (tmp_path / "wheel.libs" / name).touch()
    accepted = [(part.name, part.accepted) for part in licences.libraries([tmp_path])]
    assert len(accepted) == 3
    assert [name for name, is_accepted in accepted if is_accepted] == ["libcrypto.so.3 (wheel)"]
