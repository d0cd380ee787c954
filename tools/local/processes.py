"""Start processes so that they surely end: we end them or, after a crash, the next start in the same workspace does."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import NoReturn
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from tools.local.workspace import REPOSITORY, CommandError, Workspace, replace_file

type Process = subprocess.Popen[bytes]

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 15
_START_ATTEMPTS = 3
_READY_SECONDS = 60


def end_on_any_interruption() -> None:
    """Let `kill` and a closed terminal unwind this process just as Ctrl-C does."""
    for number in _INTERRUPTIONS:
        signal.signal(number, signal.default_int_handler)


def answers(url: str) -> bool:
    """Whether a server of ours answers at this URL, for `is_ready` of `start_server`."""
    try:
        urlopen(url, timeout=5).close()  # noqa: S310 (our own http://127.0.0.1)
    except (URLError, ConnectionError, TimeoutError):
        return False
    return True


@contextmanager
def interruptions_held_back() -> Iterator[None]:
    """Run the block to its end; an interruption meanwhile takes effect after it."""
    if current_thread() is not main_thread():  # interruptions reach the main thread alone
        yield
        return
    pending: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        pending.append(number)

    previous = {number: signal.signal(number, remember) for number in _INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if pending:
            signal.raise_signal(pending[0])


@dataclass(frozen=True)
class _Started:
    """A line of the record. A process is ours if its pid and its birth (seconds since 1970) agree; pids get reused."""

    name: str
    pid: int
    birth: float
    stop_signal: int

    def process(self) -> psutil.Process | None:
        """Return the process itself, if it still runs and is ours."""
        try:
            process = psutil.Process(self.pid)
            ours = abs(process.create_time() - self.birth) < 1
        except psutil.NoSuchProcess:
            return None
        return process if ours and _runs(process) else None

    def end(self) -> bool:
        """End the process and all its descendants. Return whether there was anything to end."""
        process = self.process()
        if process is None:
            return False
        with suppress(psutil.NoSuchProcess):
            descendants = process.children(recursive=True)
            process.send_signal(self.stop_signal)
            _wait([process])
            # Its children have nothing left to do without it. Its process group has those that started since we looked.
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            for left in descendants:
                with suppress(psutil.NoSuchProcess):
                    left.kill()
            _wait([process, *descendants])
        return True


def _runs(process: psutil.Process) -> bool:
    """Whether the process runs, and is no zombie that waits for its parent to reap it, which can take seconds."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(map(_runs, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)


class Processes:
    """The processes of one workspace.

    Each has a session of its own, so that a Ctrl-C in the terminal reaches only us and we end them in order. Each is
    written down before anything else happens, so that the next start can end what a crash left behind.
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
        with self.log(name).open("ab") as log, interruptions_held_back():
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            birth = psutil.Process(process.pid).create_time()
            self._write([*self._read(), _Started(name, process.pid, birth, stop_signal)])
        return process

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
            self.end(process)
            time.sleep(1)
        raise CommandError(f"{name} does not start. The end of {self.log(name)}:\n{self._end_of_log(name)}")

    def finish(self, process: Process, *, seconds: float, heard: Callable[[str], None] = lambda _line: None) -> None:
        """Wait for a command to finish, and hand each line that it writes to `heard`.

        Raises CommandError, with the end of its log, when it fails or takes longer.
        """
        name = next(started.name for started in self._read() if started.pid == process.pid)
        deadline = time.monotonic() + seconds
        with self.log(name).open(errors="replace") as log:
            while (code := process.poll()) is None and time.monotonic() < deadline:
                for line in log:
                    heard(line.rstrip())
                time.sleep(0.1)
        self.end(process)
        if code != 0:
            reason = f"took longer than {seconds:.0f} s" if code is None else f"failed (exit code {code})"
            raise CommandError(f"{name} {reason}. The end of {self.log(name)}:\n{self._end_of_log(name)}")

    def running(self, name: str) -> psutil.Process:
        """Return the process that was last started by this name. Raises CommandError when it does not run."""
        for started in reversed(self._read()):
            if started.name == name and (process := started.process()):
                return process
        raise CommandError(f"{name} does not run")

    def watch(self) -> NoReturn:
        """Watch over the processes. Raises CommandError when one that should run does not."""
        while (lost := next((started.name for started in self._read() if started.process() is None), None)) is None:
            time.sleep(1)
        raise CommandError(f"{lost} ended by itself. The end of {self.log(lost)}:\n{self._end_of_log(lost)}")

    def end(self, process: Process) -> None:
        for started in self._read():
            if started.pid == process.pid:
                started.end()
        self._forget(process.pid)

    def end_all(self) -> list[str]:
        """End every recorded process that is still ours, the youngest first. Return the names of those ended."""
        with interruptions_held_back():
            names = [started.name for started in reversed(self._read()) if started.end()]
            self._workspace.processes_file.unlink(missing_ok=True)
        return names

    def log(self, name: str) -> Path:
        return self._workspace.logs / f"{name}.log"

    def _end_of_log(self, name: str, lines: int = 40) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])

    def _forget(self, pid: int) -> None:
        self._write([started for started in self._read() if started.pid != pid])

    def _read(self) -> list[_Started]:
        try:
            return [_Started(**entry) for entry in json.loads(self._workspace.processes_file.read_text())]
        except FileNotFoundError:
            return []

    def _write(self, record: list[_Started]) -> None:
        replace_file(self._workspace.processes_file, json.dumps([asdict(started) for started in record], indent=2))
