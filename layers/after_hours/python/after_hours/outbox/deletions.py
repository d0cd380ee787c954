"""Deletions of objects in S3 and R2, at least once, so that no orphan stays.

The SQL function after_hours_put_deletions writes the deletion of an object to the outbox. If an object may become
unwanted, its deletion is written before the object is made. An object whose key is not one of ours is never deleted:
its task is dropped, logged and counted.
"""

from collections.abc import Sequence
from functools import partial

from after_hours.foundation import storage
from after_hours.foundation.observability import count, logger
from after_hours.foundation.storage import Store
from after_hours.outbox.tasks import Call, Task


def calls(tasks: Sequence[Task], store: Store) -> list[Call]:
    """Return the calls that delete objects of a store; none for objects that are not ours."""
    own = [task for task in tasks if store.holds(task["key"])]
    if foreign := [task["key"] for task in tasks if not store.holds(task["key"])]:
        first = foreign[0].partition("/")[0][:50]  # the rest of a key may identify a photo
        logger.error("objects that are not ours are not deleted", store=store, number=len(foreign), first=first)
        count("ForeignDeletions", len(foreign))
    bucket = storage.bucket(store) if own else None
    return [Call([task], partial(bucket.delete, task["key"])) for task in own if bucket]
