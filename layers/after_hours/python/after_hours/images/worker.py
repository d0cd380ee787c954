"""The program that decodes, one forked process for each photo: `python -m after_hours.images.worker`.

Standard input is a socket. For each photo, the other side sends one byte on it, together with a file descriptor: the
photo's own connection. The worker forks a process, which reads the file from that connection and writes the result to
it: the parts of `Processed`, or the reason of a rejection alone. Then the worker writes the exit status of the process
to the socket, in four bytes.
"""

import contextlib
import os
import resource
import signal
import socket
from multiprocessing.connection import Connection

from after_hours.images import pipeline
from after_hours.images.rejection import Rejected

# The largest photos that are allowed take 3 s of processor time and 720 MB.
PROCESSOR_SECONDS = 10
SECONDS = 40  # of real time, waits included; the function may run for 60
MEMORY = 1000 * 1024**2  # bytes


def main() -> None:
    """Serve until the other end of the socket is closed."""
    with contextlib.suppress(ImportError):  # the HEIC that needs it raises this again
        import pi_heif  # noqa: F401, PLC0415 (here once, and not in each photo's process)

    photos = socket.socket(fileno=0)
    while descriptors := socket.recv_fds(photos, 1, 1)[1]:
        if not os.fork():
            photos.close()
            _process(Connection(descriptors[0]))
            os._exit(0)  # no clean-up: that is for the parent process
        os.close(descriptors[0])
        photos.sendall(os.wait()[1].to_bytes(4))


def _process(photo: Connection) -> None:
    content = photo.recv_bytes()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1))
    signal.alarm(SECONDS)
    try:
        made = pipeline.process(content)
        parts: tuple[bytes | str, ...] = (made.photo, made.thumbnail, made.photo_hash, *made.may_be_banned_by)
    except Rejected as rejected:
        parts = (rejected.reason.value,)
    for part in parts:
        photo.send_bytes(part if isinstance(part, bytes) else part.encode())


if __name__ == "__main__":
    main()
