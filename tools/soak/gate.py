"""A shared and exclusive lock: calls of members share it, and a leap of time holds it alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Gate:
    """A leap waits for the calls under way, and calls that come meanwhile wait for the leap."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._calls = 0
        self._closed = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._closed = True
            self._changed.wait_for(lambda: not self._calls)
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()
