"""Long work in batches: each commits by itself, so that a function that is killed or stops early keeps what it did."""

import time
from collections.abc import Callable


def repeat(batch: Callable[[], int], deadline: float) -> int:
    """Run `batch`, which returns how many things it did, until it did none or `deadline` has passed. Returns the sum.

    `deadline` is a time of `time.monotonic`, in seconds. A batch that has begun is finished.
    """
    done = 0
    while time.monotonic() < deadline and (number := batch()):
        done += number
    return done
