"""Two clocks: the database's, which the soak moves on (soak.leaps), and a function's, which may be wrong."""

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
    """The database's time. Members hold it while they call, so that it does not leap then."""

    CALLS = 20  # of members at once; more than there ever are

    def __init__(self) -> None:
        self._door = Lock()  # without it, new calls would pass a leap that waits
        self._calls = Semaphore(self.CALLS)

    @contextmanager
    def held(self, calls: int = 1) -> Iterator[None]:
        """Hold the clock. A leap holds it as all CALLS, and so waits for them."""
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
    # The function's own folders come first, so this environment replaces none of their packages.
    return {"PYTHONPATH": f"{site}:{Path(time_machine.__file__).parents[1]}"}
