"""The way in: a member's file is decoded in a process of its own, which has a deadline and a memory limit.

Limits on what a file may say cannot foresee every bomb; these need not. `worker` is started once and imports the
decoders. It forks for each photo, which it may, since it has no threads and no connections. This process has both.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe

from after_hours.images.rejection import Reason, Rejected

PROGRAM = ("-P", "-m", "after_hours.images.worker")
# What ends a process for what its file made it do: the limit of processor time, and a decoder's faults. A machine that
# stands still sends SIGALRM, and one without memory SIGKILL: neither is the file's fault, so the photo is tried again.
_FAULTS_OF_THE_FILE = frozenset(
    -number
    for number in (
        signal.SIGXCPU,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGABRT,
        signal.SIGFPE,
        signal.SIGILL,
    )
)


@dataclass(frozen=True, slots=True)
class Processed:
    """Two JPEGs in sRGB without any metadata, the photo's perceptual hash, and the hashes that it may be banned by."""

    photo: bytes
    thumbnail: bytes
    photo_hash: str
    may_be_banned_by: tuple[str, ...]


class _Worker:
    """A running `worker`. It ends when this object goes, for then its end of the socket is closed."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (nothing of it is a stranger's)
                [sys.executable, *PROGRAM],
                stdin=theirs.fileno(),
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},  # on Lambda the layers are on sys.path only
                process_group=0,  # Ctrl-C in a terminal is for this process
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def answer(self, content: bytes) -> tuple[list[bytes], int]:
        """Return the messages of the photo's process, and its exit status; that of a signal is negative."""
        ours, theirs = Pipe()
        with ours:
            with theirs:
                socket.send_fds(self._socket, [b"\0"], [theirs.fileno()])
            with suppress(BrokenPipeError, ConnectionResetError):  # the process has ended; its status says why
                ours.send_bytes(content)
            messages = list(_messages(ours))
        status = self._socket.recv(4)
        if not status:
            raise ChildProcessError(f"the photo worker ended with {self._process.wait()}")
        return messages, os.waitstatus_to_exitcode(int.from_bytes(status))


_idle: list[_Worker] = []


def process(content: bytes) -> Processed:
    """Make the photo and its thumbnail as `pipeline.process` does, within the limits of `worker`.

    Raises Rejected for whatever is wrong with the file, and OSError for a fault of ours, which may pass. A worker
    serves one caller at a time. After an exception it is dropped: half an answer may still be on its socket.
    """
    worker = next(_living(), None) or _Worker()
    messages, status = worker.answer(content)
    _idle.append(worker)
    if status in _FAULTS_OF_THE_FILE:
        raise Rejected(Reason.CORRUPT)
    if status:
        raise ChildProcessError(f"the photo's process ended with {status}")
    if len(messages) == 1:
        raise Rejected(Reason(messages[0].decode()))
    photo, thumbnail, photo_hash, *looks = messages
    return Processed(photo, thumbnail, photo_hash.decode(), tuple(look.decode() for look in looks))


def _living() -> "Iterator[_Worker]":
    """Take idle workers that are still running; a machine without memory may have ended one."""
    while True:
        try:
            worker = _idle.pop()
        except IndexError:  # not asked before: another thread may take the last one between asking and taking
            return
        if worker.is_running:
            yield worker


def _messages(connection: Connection) -> Iterator[bytes]:
    with suppress(EOFError, OSError):  # between two messages, and within one
        while True:
            yield connection.recv_bytes()
