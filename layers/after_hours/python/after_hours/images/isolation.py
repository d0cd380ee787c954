"""Decode each member's file in a process of its own, which has a deadline and a memory limit.

Checks of a file's headers cannot foresee every decompression bomb; these limits need not. `worker` is started once,
imports the decoders, and forks for each photo. It can fork safely, since it has no threads and no connections. This
process has both.
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
# Signals that end a process because of its file: the limit of processor time, and crashes of a decoder. SIGALRM may be
# due to a machine that stands still, and SIGKILL to one without memory: the file is not at fault, and Lambda retries.
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
    """A running `worker`. It ends with this object, which closes its end of the socket."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (no part of it is input)
                [sys.executable, *PROGRAM],
                stdin=theirs.fileno(),
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},  # on Lambda the layers are on sys.path only
                process_group=0,  # Ctrl-C in a terminal is for this process alone
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def process(self, content: bytes) -> tuple[list[bytes], int]:
        """Return the messages of the photo's process, and its exit status; minus the number of a signal."""
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

    Raises `Rejected` for a fault of the file, and OSError for a transient fault of ours. A worker serves one caller at
    a time. After an exception it is dropped, since half a result may still be on its socket.
    """
    worker = next(_living(), None) or _Worker()
    messages, status = worker.process(content)
    _idle.append(worker)
    if status in _FAULTS_OF_THE_FILE:
        raise Rejected(Reason.CORRUPT)
    if status:
        raise ChildProcessError(f"the photo's process ended with {status}")
    if len(messages) == 1:
        raise Rejected(Reason(messages[0].decode()))
    photo, thumbnail, photo_hash, *hashes = messages
    return Processed(photo, thumbnail, photo_hash.decode(), tuple(each.decode() for each in hashes))


def _living() -> "Iterator[_Worker]":
    """Take idle workers that still run; a machine without memory may have ended one."""
    while True:
        try:
            worker = _idle.pop()
        except IndexError:  # not checked before: another thread may take the last one in between
            return
        if worker.is_running:
            yield worker


def _messages(connection: Connection) -> Iterator[bytes]:
    with suppress(EOFError, OSError):  # the process ended: between two messages, or within one
        while True:
            yield connection.recv_bytes()
