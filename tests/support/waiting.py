"""Wait for a condition, not for a time."""

import time
from collections.abc import Callable

# Only a test that fails waits so long. Busy machines take many times what a quiet one does.
LIMIT_SECONDS = 300


def until[T](look: Callable[[], T]) -> T:
    """Call `look` until it returns something true, and return that. Fails after LIMIT_SECONDS."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {LIMIT_SECONDS} s"
        time.sleep(0.1)
    return seen
