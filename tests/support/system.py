"""A whole system for tests, started by `make run` in a copy of the repository where little is as usual."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from infra import build
from tests.support.scratch import LINKED, copy_repository
from tests.support.waiting import until
from tests.support.workspaces import processes_of
from tools.local.ports import Ports
from tools.local.workspace import Workspace

NOBODY_LISTENS = "http://127.0.0.1:9"

type Command = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class System:
    """A running system that was started in a copy of the repository, and the lines that `make run` has printed."""

    repository: Path
    run: "subprocess.Popen[str]"
    printed: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.repository / ".local")

    def await_line(self, pattern: str) -> None:
        until(lambda: re.search(pattern, "".join(self.printed)) or self.run.poll() is not None)
        assert self.run.poll() is None, "".join(self.printed)


@contextmanager
def system_elsewhere(scratch: Path) -> Iterator[System]:
    """Start a system in a folder with spaces in its name: no root, no git, no way out, and a HOME that is read-only.

    At the end `make stop` ends it, and nothing of it may be left running.
    """
    for layer in ("after_hours", "imaging"):  # these builds download, and the copy has no network
        build.layer(layer, build.HOST)
    build.function("migrate_database", build.HOST)
    home, programs = scratch / "home", scratch / "bin"
    home.mkdir(mode=0o555)
    programs.mkdir()
    _link_programs_but_git(programs)
    with TemporaryDirectory(prefix="after hours ") as folder:
        repository = Path(folder).resolve() / "the repository"
        repository.mkdir()
        copy_repository(repository)
        installed = [word for name in LINKED for word in ("-o", f"{name}/.ready")]
        with subprocess.Popen(
            [*_as_user(), "make", *installed, "run", f"PORT={Ports.free().api}"],
            cwd=repository, env=_proxied() | {"PATH": str(programs), "HOME": str(home)}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as run:  # fmt: skip
            system = System(repository, run)
            threading.Thread(target=lambda: system.printed.extend(run.stdout or ()), daemon=True).start()
            try:
                for step in ("synthesizing", "deploying", "All tokens"):
                    system.await_line(step)
                yield system
            finally:
                stop = [sys.executable, "-m", "tools.local", "stop"]
                stopped = subprocess.run(stop, cwd=repository, capture_output=True, text=True, check=False).stdout
                if stopped != "Stopped.\n":  # it did not get as far
                    run.terminate()
        until(lambda: not processes_of(system.workspace))
        assert run.returncode == 0


def _as_user() -> list[str]:
    """Return what makes a command of root that of an ordinary user, who owns the same files; nothing where none can."""
    line = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    can = os.geteuid() == 0 and subprocess.run([*line, "true"], check=False, capture_output=True).returncode == 0
    return line if can else []


def _proxied() -> dict[str, str]:
    """Return an environment with proxies that lead nowhere and no exception for this machine."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    proxies = {spelling: NOBODY_LISTENS for name in names for spelling in (name, name.lower())}
    return {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | proxies


def _link_programs_but_git(folder: Path) -> None:
    for path in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in path.iterdir() if path.is_dir() else ():
            if not program.name.startswith("git") and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
