"""Two clocks: the database's, which the soak moves on, and a function's, which may be wrong."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Semaphore

import time_machine

_SITE = """\
import datetime

import time_machine

time_machine.travel(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds={seconds}), tick=True).start()
"""


class Clock:
    """The database's time: this machine's clock plus the seconds that were leapt over (soak.leaps)."""

    CALLS = 20  # of members at once; more than there ever are

    def __init__(self) -> None:
        self.leapt = 0.0
        self._door = Lock()  # without it, new calls would pass a leap that waits
        self._calls = Semaphore(self.CALLS)

    def now(self) -> float:
        return time.time() + self.leapt

    @contextmanager
    def held(self, calls: int = 1) -> Iterator[None]:
        """Let no time leap while a member calls; a leap holds the clock as all CALLS, and so waits for them."""
        with self._door:
            for _ in range(calls):
                self._calls.acquire()
        try:
            yield
        finally:
            self._calls.release(calls)


def wrong_clock(folder: Path, seconds: int) -> dict[str, str]:
    """Return the environment variables that put a function's clock off by so many seconds.

    Python imports `sitecustomize` before anything else, so the function's own code stays as it is.
    """
    if not seconds:
        return {}
    site = folder / "wrong-clock"
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE.format(seconds=seconds))
    # Link this package alone: the function must see nothing else of this virtual environment.
    for installed in Path(time_machine.__file__).parents[1].glob("*time_machine*"):
        link = site / installed.name
        link.unlink(missing_ok=True)
        link.symlink_to(installed)
    return {"PYTHONPATH": str(site)}
