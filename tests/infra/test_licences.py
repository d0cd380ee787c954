"""What runs on Lambda has licences that were reviewed."""

from pathlib import Path

import pytest

from ops import licences


def test_all_that_ships_has_a_licence_on_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    code = licences.main()
    listed = capsys.readouterr().out
    assert code == 0, listed
    assert "pydantic" in listed
    assert "libpq (psycopg2_binary)" in listed
    assert "x265" not in listed


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "AGPL-3.0-or-later", None])
def test_a_package_with_another_licence_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, licence: str | None
) -> None:
    said = {"License": licence}
    monkeypatch.setattr(licences, "metadata", lambda _: said)
    (tmp_path / "requirements.txt").write_text("# a package\nsix==1.17.0\n")
    [part] = licences.packages([tmp_path / "requirements.txt"])
    assert (part.licence, part.accepted) == (licence or "unknown", False)


def test_a_library_that_nobody_looked_up_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pillow_heif.libs").mkdir()
    for name in ("libx265-f7a03873.so.217", "libpcre2-8-8701a61e.so.0.7.1"):
        (tmp_path / "pillow_heif.libs" / name).touch()
    assert [part.accepted for part in licences.libraries([tmp_path])] == [True, False]


def test_a_wheel_with_another_hash_than_the_reviewed_one_is_not_installed() -> None:
    """The layers are installed from requirements.lock, which has a hash for each file."""
    assert '"--require-hashes", "--constraint", str(LOCK)' in Path("infra/build.py").read_text()
