"""Objects outside the database that must go, and surely do.

A row of after_hours_removals is written with the change that makes an object unwanted, or before an object is made that
may turn out to be, and goes when the object is gone. A crash in between leaves the row, and the sweep reads it.
"""

import time
from collections.abc import Iterable

from after_hours import storage
from after_hours.database import Database, Row
from after_hours.errors import ServiceUnavailable
from after_hours.observability import count, logger
from after_hours.storage import Store

# The sweep takes this many at once, as long as there is time, and what it could not delete again after a while: what
# fails again and again must not keep the rest from going.
_BATCH = 50
_SWEEP_SECONDS = 10
_DUE = f"SELECT store, key FROM after_hours_removals WHERE due_at <= now() ORDER BY due_at LIMIT {_BATCH}"

_REMOVALS = "(store, key) IN (SELECT * FROM unnest(%(stores)s::text[], %(keys)s::text[]))"
_REMOVED = f"DELETE FROM after_hours_removals WHERE {_REMOVALS}"
_PUT_OFF = f"UPDATE after_hours_removals SET due_at = now() + interval '5 minutes' WHERE {_REMOVALS}"


def carry_out(database: Database, removals: Iterable[Row]) -> None:
    """Delete the objects of rows of after_hours_removals, then the rows; leave to the sweep what cannot be deleted."""
    _carry_out(database, removals)


def carry_out_due(database: Database) -> int:
    """Delete objects whose removal is due and did not happen. Returns how many are gone."""
    gone = 0
    deadline = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < deadline and (due := database.fetch_all(_DUE)):
        failed = _carry_out(database, due)
        gone += len(due) - len(failed)
        if failed:
            database.fetch_all(_PUT_OFF, _columns(failed))
    return gone


def _carry_out(database: Database, removals: Iterable[Row]) -> list[Row]:
    """Delete objects and rows; the rows of those that could not be deleted."""
    gone, failed = [], []
    for removal in removals:
        try:
            storage.bucket(Store(removal["store"])).delete(removal["key"])
        except ServiceUnavailable as fault:
            count("StorageFaults")
            logger.warning("object not removed; the sweep tries again", store=removal["store"], reason=str(fault))
            failed.append(removal)
        else:
            gone.append(removal)
    if gone:
        database.fetch_all(_REMOVED, _columns(gone))
    return failed


def _columns(removals: list[Row]) -> dict[str, object]:
    return {name: [removal[column] for removal in removals] for name, column in (("stores", "store"), ("keys", "key"))}
