"""Start processes so that they surely end: we end them or, after a crash, the next start in the same workspace does."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

import psutil

from tools.local import calls
from tools.local.workspace import REPOSITORY, CommandError, Workspace

type Process = subprocess.Popen[bytes]

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 15
_START_ATTEMPTS = 3
_READY_SECONDS = 60
_LINES_SHOWN = 40  # of the log of a program that has failed
# In the environment of each process, and so of its children: `<signal that ends it> <name> <workspace>`.
_MARK = "AFTER_HOURS_PROCESS"


def end_on_any_interruption() -> None:
    """Let `kill` and a closed terminal unwind this process just as Ctrl-C does."""
    for number in _INTERRUPTIONS:
        signal.signal(number, signal.default_int_handler)


def answers(url: str) -> bool:
    """Whether a server of ours answers at this URL, for `is_ready` of `start_server`."""
    try:
        return calls.request("GET", url, timeout=5).status == HTTPStatus.OK
    except OSError:
        return False


@contextmanager
def interruptions_ignored() -> Iterator[None]:
    """Run the block to its end: it ends the system, and an impatient second Ctrl-C must not cut that short."""
    previous = {number: signal.signal(number, lambda *_: None) for number in _INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Processes:
    """The processes of one workspace.

    Each has a session of its own, so that a Ctrl-C in the terminal reaches only us and we end them in order. Each
    carries a mark in its environment, so that the next start finds what a crash left behind.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        folder: Path = REPOSITORY,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Process:
        """Start `command` in this folder with exactly this environment; its output is added to `logs/<name>.log`."""
        self._workspace.logs.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, _MARK: f"{stop_signal.value} {name} {self._workspace.root}"},
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_server(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        is_ready: Callable[[], bool],
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start a server and wait until it answers. Raises CommandError when it does not.

        It is tried a few times, because what a crash left behind may need a moment to go.
        """
        for _ in range(_START_ATTEMPTS):
            process = self.start(name, command, environment=environment, user=user, stop_signal=stop_signal)
            deadline = time.monotonic() + _READY_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                if is_ready():
                    return
                time.sleep(0.05)
            self.end_all(name)
            time.sleep(1)
        raise CommandError(f"{name} does not start. {self._end_of_log(name)}")

    def finish(self, name: str, process: Process, heard: Callable[[str], None] = lambda _line: None) -> None:
        """Wait for a command to finish, and hand each line that it writes to `heard`.

        Raises CommandError, with the end of its log, when it fails.
        """
        with self._log(name).open(errors="replace") as log:
            while (code := process.poll()) is None:
                for line in log:
                    heard(line.rstrip())
                time.sleep(0.1)
        if code != 0:
            raise CommandError(f"{name} failed (exit code {code}). {self._end_of_log(name)}")

    def running(self, name: str) -> psutil.Process:
        """Return the process that was started by this name. Raises CommandError when it does not run."""
        for process, _, marked in self._marked():
            if marked == name and os.getsid(process.pid) == process.pid:  # none of its children, which are marked, too
                return process
        raise CommandError(f"{name} does not run. {self._end_of_log(name)}")

    def watch(self, *names: str) -> NoReturn:
        """Watch over these processes. Raises CommandError when one ends by itself."""
        while all(map(self.running, names)):
            time.sleep(1)
        raise AssertionError

    def end_all(self, *names: str) -> list[str]:
        """End the processes of these names, or all, the youngest first. Return the names of those ended.

        What they started ends with them, because it has nothing to do without them.
        """
        marked = [each for each in self._marked() if not names or each[2] in names]
        for process, number, _ in reversed(marked):
            with suppress(psutil.NoSuchProcess):
                started = process.children(recursive=True)
                process.send_signal(number)
                _wait([process])
                for each in (process, *started):
                    with suppress(psutil.NoSuchProcess):
                        each.kill()
                _wait([process, *started])
        return list(dict.fromkeys(name for _, _, name in reversed(marked)))

    def _log(self, name: str) -> Path:
        return self._workspace.logs / f"{name}.log"

    def _end_of_log(self, name: str) -> str:
        log = self._log(name)
        written = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join([f"The end of {log}:", *written[-_LINES_SHOWN:]])

    def _marked(self) -> list[tuple[psutil.Process, int, str]]:
        """Return each process with our mark, the signal that ends it and its name; the oldest first."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                number, name, root = process.environ().get(_MARK, "0  ").split(" ", 2)
                if root == str(self._workspace.root) and _is_alive(process):
                    found.append((process, int(number), name))
        return sorted(found, key=lambda each: each[0].create_time())


def _wait(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)


def _is_alive(process: psutil.Process) -> bool:
    """Whether the process runs, and is no zombie that waits for its parent to reap it, which can take seconds."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
