"""Long work in small steps: a batch commits by itself, so that whoever is killed or stops early keeps what is done."""

import time
from collections.abc import Callable


def repeat(batch: Callable[[], int], deadline: float) -> int:
    """Run `batch`, which returns how many things it did, until that is none or `deadline` is over. Returns the sum.

    `deadline` is of `time.monotonic`, in seconds; a batch that has begun is not broken off.
    """
    done = 0
    while time.monotonic() < deadline and (number := batch()):
        done += number
    return done
