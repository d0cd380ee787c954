"""Long work in batches. Each batch commits by itself, so a function that is killed or stops early keeps its work."""

import time
from collections.abc import Callable


def repeat(batch: Callable[[], int], deadline: float) -> int:
    """Run `batch`, which returns the number of things done, until it did none or `deadline` has passed. Return the sum.

    `deadline` is a time of `time.monotonic`, in seconds. A batch that has begun is finished.

    >>> sizes = iter([500, 120, 0])
    >>> repeat(lambda: next(sizes), deadline=time.monotonic() + 60)
    620
    """
    done = 0
    while time.monotonic() < deadline and (number := batch()):
        done += number
    return done
