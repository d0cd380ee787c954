"""Where no browser can be had, the tests of the page say so; in CI they fail."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import browsers


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a browser, whose npm has none either."""

    def fails(*command: str) -> str:
        raise subprocess.CalledProcessError(1, command, stderr="404 Not Found")

    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(browsers, "_FOLDER", tmp_path / "browser")
    monkeypatch.setattr(browsers, "_node", fails)


def test_without_a_browser_tests_are_skipped_with_the_reason(nowhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no Chromium here.*404 Not Found"):
        browsers.executable_or_skip()


def test_without_a_browser_ci_fails(nowhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(browsers.NoBrowserError, match="404 Not Found"):
        browsers.executable_or_skip()


def test_an_installation_that_failed_is_tried_again(nowhere: None, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(browsers.NoBrowserError):
            browsers.executable()
    assert not (tmp_path / "browser" / "package-lock.json").exists()


def test_the_browser_of_the_machine_comes_first(nowhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda command: f"/usr/bin/{command}")
    assert browsers.executable() == Path("/usr/bin/chromium")
