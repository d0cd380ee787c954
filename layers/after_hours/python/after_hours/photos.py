"""Photos: what becomes of an upload, and how what is no longer wanted is surely removed."""

from collections.abc import Iterable

from after_hours import storage
from after_hours.database import Database, Row
from after_hours.errors import ServiceUnavailable
from after_hours.observability import count, logger
from after_hours.storage import Store

_DUE = "SELECT store, key FROM after_hours_removals WHERE due_at <= now() ORDER BY due_at LIMIT 500"

_REMOVED = """
    DELETE FROM after_hours_removals
    WHERE (store, key) IN (SELECT * FROM unnest(%(stores)s::text[], %(keys)s::text[]))
"""


def remove(database: Database, removals: Iterable[Row]) -> int:
    """Delete the objects of rows of after_hours_removals, then the rows. Returns how many are gone.

    What cannot be deleted now keeps its row, and the sweep tries again.
    """
    gone = []
    for removal in removals:
        try:
            storage.bucket(Store(removal["store"])).delete(removal["key"])
        except ServiceUnavailable as fault:
            count("StorageFaults")
            logger.warning("object not removed; the sweep tries again", store=removal["store"], reason=str(fault))
        else:
            gone.append(removal)
    if gone:
        database.fetch_all(
            _REMOVED, {"stores": [removal["store"] for removal in gone], "keys": [removal["key"] for removal in gone]}
        )
    return len(gone)


def remove_due(database: Database) -> int:
    """Delete objects whose removal is due and did not happen. Returns how many are gone."""
    return remove(database, database.fetch_all(_DUE))
