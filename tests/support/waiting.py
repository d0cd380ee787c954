"""Wait for a condition, not for a time."""

import time
from collections.abc import Callable

# Only a test that fails waits so long. Busy machines take many times what a quiet one does.
LIMIT_SECONDS = 300


def until[T](look: Callable[[], T]) -> T:
    """Look again and again until there is something true to see; what was seen. Fails after LIMIT_SECONDS."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {LIMIT_SECONDS} s"
        time.sleep(0.1)
    return seen
