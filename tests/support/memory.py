"""Buckets in memory: their calls take a moment, and fail now and then, as those of a store do."""

import random
import time

from after_hours.foundation.faults import StorageUnavailable
from after_hours.foundation.storage import Post


class Memory:
    """Takes the place of a `storage.Bucket`. `faults` is the part of the calls that fail."""

    def __init__(self, faults: float = 0) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults = faults

    def _take_a_moment(self) -> None:
        time.sleep(random.random() * 0.004)
        if random.random() < self.faults:
            raise StorageUnavailable("now and then")

    def get(self, key: str) -> bytes | None:
        self._take_a_moment()
        return self.objects.get(key)

    def put(self, key: str, content: bytes) -> None:
        self._take_a_moment()
        self.objects[key] = content

    def delete(self, key: str) -> None:
        self._take_a_moment()
        self.objects.pop(key, None)

    def sign_post(self, key: str, **_: object) -> Post:
        return Post("https://uploads.invalid", {"key": key})
