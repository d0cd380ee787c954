"""Objects outside the database that must go, and surely do.

A row of after_hours_removals is written with the change that makes an object unwanted, or before an object is made that
may turn out to be, and goes when the object is gone. A crash in between leaves the row, and the sweep reads it.

Rows are locked in the order of their keys, everywhere: several may be at work on the same ones.
"""

import time
from collections.abc import Iterable

from after_hours import storage
from after_hours.database import Database, Row
from after_hours.errors import ServiceUnavailable
from after_hours.observability import count, left_to_sweep, logger
from after_hours.storage import Store

_BATCH = 50
_SECONDS_IN_A_CALL = 2  # for each store, while a member waits
_SECONDS_IN_A_SWEEP = 6
_SILENCE_SECONDS = 1  # a store that needed so long to fail is down, and asked nothing more

_COLUMNS = ("store", "key", "due_at")

_DUE = f"""
    SELECT store, key, due_at FROM after_hours_removals
    WHERE store = %(store)s AND due_at <= now() ORDER BY due_at LIMIT {_BATCH}
"""

# Only as they were read: a row that was written anew since then is for an object that may have been made anew.
_AS_READ = """
    SELECT store, key FROM after_hours_removals JOIN
        unnest(%(store)s::text[], %(key)s::text[], %(due_at)s::timestamptz[]) AS read (store, key, due_at)
        USING (store, key, due_at)
    ORDER BY store, key FOR UPDATE OF after_hours_removals
"""
_REMOVED = f"""
    WITH gone AS ({_AS_READ})
    DELETE FROM after_hours_removals removal USING gone WHERE (removal.store, removal.key) = (gone.store, gone.key)
"""
# What fails again and again must not keep the rest from going.
_PUT_OFF = f"""
    WITH failed AS ({_AS_READ})
    UPDATE after_hours_removals removal SET due_at = now() + interval '5 minutes'
    FROM failed WHERE (removal.store, removal.key) = (failed.store, failed.key)
"""


def carry_out(database: Database, removals: Iterable[Row]) -> None:
    """Delete the objects of rows of after_hours_removals (`store`, `key`, `due_at`), then the rows.

    Takes a few seconds at most, and never fails: what is not done then is left to the sweep.
    """
    removals = list(removals)
    with left_to_sweep("StorageFaults"):
        for store in Store:
            _carry_out(database, [each for each in removals if each["store"] == store], seconds=_SECONDS_IN_A_CALL)


def carry_out_due(database: Database) -> int:
    """Delete objects whose removal is due and did not happen. Returns how many are gone."""
    gone = 0
    for store in Store:
        deadline = time.monotonic() + _SECONDS_IN_A_SWEEP
        silent = False
        while not silent and (left := deadline - time.monotonic()) > 0:
            due = database.fetch_all(_DUE, {"store": store})
            if not due:
                break
            removed, silent = _carry_out(database, due, seconds=left)
            gone += removed
    return gone


def _carry_out(database: Database, removals: list[Row], *, seconds: float) -> tuple[int, bool]:
    """Delete objects of one store and their rows, for so many seconds at most.

    Returns how many are gone, and whether the store is silent: then it is asked nothing more.
    """
    deadline = time.monotonic() + seconds
    gone, failed, silent = [], [], False
    for removal in removals:
        began = time.monotonic()
        if silent or began > deadline:
            break
        try:
            storage.bucket(Store(removal["store"])).delete(removal["key"])
        except ServiceUnavailable as fault:
            count("StorageFaults")
            logger.warning("object not removed; the sweep tries again", store=removal["store"], reason=str(fault))
            failed.append(removal)
            silent = time.monotonic() - began > _SILENCE_SECONDS
        else:
            gone.append(removal)
    for statement, rows in ((_REMOVED, gone), (_PUT_OFF, failed)):
        if rows:
            database.fetch_all(statement, {column: [row[column] for row in rows] for column in _COLUMNS})
    return len(gone), silent
