"""Objects in S3 and R2 that must be deleted, at least once, so that no orphan stays.

The statement that makes an object unwanted also writes a row of after_hours_removals (by the SQL function
after_hours_must_go); for an object that may turn out to be unwanted, the row is written before the object is made.
Whoever makes the change holds a lease on the row (`due_at` lies ahead) and deletes the object at once, best effort. The
sweep takes over when the lease is over. The row is deleted after its object.

An object whose key is not one of ours is never deleted, wherever its row comes from: the row is dropped, logged and
counted.

A row is deleted only if its `due_at` is still the one that was read: a row that was written anew since then stands for
an object that may have been made anew.
"""

import time
from collections.abc import Sequence
from typing import TypedDict

from after_hours import calls, storage
from after_hours.database import Database
from after_hours.errors import ServiceUnavailable
from after_hours.observability import best_effort, count, count_fault, logger
from after_hours.storage import Store

FAULTS = "StorageFaults"

_SECONDS_IN_A_CALL = 2  # while a member waits: no deletion begins later


class Deletion(TypedDict):
    """A row of after_hours_removals, as it was read; `due_at` is text that PostgreSQL wrote, to the microsecond."""

    store: str
    key: str
    due_at: str


# The lease is longer than a sweep may take, so that no other sweep deletes the same objects meanwhile.
_CLAIM_DUE = """
    WITH due AS (
        SELECT key FROM after_hours_removals WHERE store = %(store)s AND due_at <= now()
        ORDER BY due_at LIMIT 200
        FOR UPDATE SKIP LOCKED
    )
    UPDATE after_hours_removals removal SET due_at = now() + interval '1 minute'
    WHERE removal.store = %(store)s AND removal.key = ANY(ARRAY(SELECT key FROM due))
    RETURNING removal.store, removal.key, removal.due_at::text
"""

# A row that another transaction has locked is being written anew, or gone, or left to the sweep.
_FORGET = """
    WITH deleted AS (
        SELECT store, key FROM after_hours_removals JOIN
            unnest(%(store)s::text[], %(key)s::text[], %(due_at)s::timestamptz[]) AS read (store, key, due_at)
            USING (store, key, due_at)
        FOR UPDATE OF after_hours_removals SKIP LOCKED
    )
    DELETE FROM after_hours_removals removal USING deleted
    WHERE (removal.store, removal.key) = (deleted.store, deleted.key)
"""

_BACK_OFF = """
    WITH failed AS (
        SELECT store, key FROM after_hours_removals JOIN
            unnest(%(store)s::text[], %(key)s::text[], %(due_at)s::timestamptz[]) AS read (store, key, due_at)
            USING (store, key, due_at)
        FOR UPDATE OF after_hours_removals SKIP LOCKED
    )
    UPDATE after_hours_removals removal
    SET due_at = now() + least(interval '1 minute' * 2 ^ least(attempts, 10), interval '10 minutes'),
        attempts = attempts + 1
    FROM failed WHERE (removal.store, removal.key) = (failed.store, failed.key)
"""


def carry_out(database: Database, deletions: Sequence[Deletion]) -> None:
    """Delete objects and then their rows, within a few seconds, best effort: the sweep does what is left."""
    with best_effort(FAULTS):
        deadline = time.monotonic() + _SECONDS_IN_A_CALL
        for store in Store:
            _carry_out(database, store, [deletion for deletion in deletions if deletion["store"] == store], deadline)


def carry_out_due(database: Database, deadline: float, *, store: Store) -> int:
    """Delete objects whose deletion is due, until `deadline`. Returns how many were deleted."""
    total = 0
    while time.monotonic() < deadline and (due := database.fetch_all(_CLAIM_DUE, {"store": store})):
        deleted, tried = _carry_out(database, store, due, deadline)
        total += deleted
        if tried < len(due):
            break  # the store is silent, or the time is over
    return total


def _carry_out(database: Database, store: Store, deletions: Sequence[Deletion], deadline: float) -> tuple[int, int]:
    """Delete objects of one store and then their rows. Returns how many were deleted, and how many were tried."""
    foreign = [deletion for deletion in deletions if not store.holds(deletion["key"])]
    if foreign:
        first = foreign[0]["key"].partition("/")[0][:50]  # no more of it: it may be that of a photo
        logger.error("objects that are not ours are not deleted", store=store, number=len(foreign), first=first)
        count("ForeignDeletions", len(foreign))
        database.execute(_FORGET, _columns(foreign))
    own = [deletion for deletion in deletions if store.holds(deletion["key"])]
    if not own:
        return 0, len(foreign)
    bucket = storage.bucket(store)
    outcomes = calls.in_parallel(lambda deletion: bucket.delete(deletion["key"]), own, deadline=deadline)
    failed = [deletion for deletion, fault in outcomes if isinstance(fault, ServiceUnavailable)]
    deleted = [deletion for deletion, fault in outcomes if not isinstance(fault, ServiceUnavailable)]
    if deleted:
        database.execute(_FORGET, _columns(deleted))
    if failed:
        count_fault(FAULTS, next(fault for _, fault in outcomes if isinstance(fault, ServiceUnavailable)))
        database.execute(_BACK_OFF, _columns(failed))
    return len(deleted), len(foreign) + len(outcomes)


def _columns(deletions: Sequence[Deletion]) -> dict[str, object]:
    return {
        "store": [deletion["store"] for deletion in deletions],
        "key": [deletion["key"] for deletion in deletions],
        "due_at": [deletion["due_at"] for deletion in deletions],
    }
