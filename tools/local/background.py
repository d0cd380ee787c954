"""Something that runs in a thread beside a block of code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def beside(work: Callable[[Event], None]) -> Iterator[None]:
    """Run `work` in a thread while the block runs. Its event is set at the end, and the thread is waited for."""
    ending = Event()
    thread = Thread(target=work, args=(ending,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
