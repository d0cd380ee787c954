"""Calls to other services: several at a time, and none for a while to a service that did not answer."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from after_hours.foundation.faults import ServiceUnavailable

_CALLS_AT_A_TIME = 8
_SILENCE_SECONDS = 1  # a call that fails after more than this got no answer, or was throttled


class Breaker:
    """A circuit breaker: after a call that took more than a second to fail, `is_open` for `seconds`.

    Thread-safe. https://martinfowler.com/bliki/CircuitBreaker.html
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.close()

    @property
    def is_open(self) -> bool:
        # By the wall clock, since the monotonic one may stand still while Lambda freezes a function.
        return 0 < self._open_until - time.time() <= self._seconds

    def close(self) -> None:
        self._open_until = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Open the breaker if the block takes more than a second and raises `ServiceUnavailable`."""
        began = time.monotonic()
        try:
            yield
        except ServiceUnavailable:
            if time.monotonic() - began > _SILENCE_SECONDS:
                self._open_until = time.time() + self._seconds
            raise


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the thread pool of this process. Making threads for each batch would cost more than its calls."""
    return ThreadPoolExecutor(_CALLS_AT_A_TIME, thread_name_prefix="calls")


def in_parallel[Item, Result](
    call: Callable[[Item], Result], items: Sequence[Item], *, deadline: float
) -> list[tuple[Item, Result | ServiceUnavailable]]:
    """Make one call for each item, eight at a time. Return the items that were tried, each with its result or fault.

    No call begins after `deadline` (of `time.monotonic`, in seconds), nor once a call has taken more than a second to
    fail: a batch of timeouts would leave no time for later work. `call` runs in several threads. It must not use
    `in_parallel` itself.
    """
    batch = Breaker(seconds=float("inf"))

    def attempt(item: Item) -> list[tuple[Item, Result | ServiceUnavailable]]:
        if batch.is_open or time.monotonic() > deadline:
            return []
        try:
            with batch.watching():
                return [(item, call(item))]
        except ServiceUnavailable as fault:
            return [(item, fault)]

    return [tried for outcome in _pool().map(attempt, items) for tried in outcome] if items else []
