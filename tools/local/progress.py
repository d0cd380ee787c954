"""Say what is going on and since when."""

import time
from collections.abc import Callable
from contextlib import suppress

Progress = Callable[[str], None]


def clock() -> Progress:
    """Make a function that prints its text behind the seconds since now: `[ 12 s] text`."""
    start = time.monotonic()

    def progress(text: str) -> None:
        with suppress(OSError):  # a closed terminal must not keep us from cleaning up
            print(f"[{time.monotonic() - start:3.0f} s] {text}", flush=True)

    return progress
