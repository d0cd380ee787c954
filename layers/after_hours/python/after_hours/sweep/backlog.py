"""Counts of the work that is due and undone, and of the tasks that failed so often that a person must look at them."""

from after_hours.foundation.database import Database
from after_hours.foundation.observability import count
from after_hours.outbox.schedules import WARNING_BEFORE

# Each count reads the same index as the duty that does the work, so its cost follows the number of undone things.
# PostgreSQL overestimates how many sessions have a place that should not be stored: it would read the whole table, or
# start parallel workers, to count none. ORDER BY and LIMIT make it use the index, and bound that count. A task is stuck
# after five failed attempts, which the backoff (`relay`) spreads over some twenty minutes.
_UNDONE = """
    SELECT
        (SELECT count(*) FROM after_hours_sessions WHERE ended_at IS NULL AND expires_at <= now()) AS "overdueSessions",
        (
            SELECT count(*) FROM after_hours_sessions
            WHERE ended_at IS NULL AND warned_for IS DISTINCT FROM expires_at
                AND expires_at > now() AND expires_at <= now() + %(warning_before)s
        ) AS "warnings",
        (
            SELECT count(*) FROM (
                SELECT FROM after_hours_sessions
                WHERE num_nonnulls(latitude, longitude) > 0
                    OR ended_at IS NOT NULL AND num_nonnulls(fuzzed_latitude, fuzzed_longitude) > 0
                ORDER BY id LIMIT 10000
            ) AS placed
        ) AS "places",
        (SELECT count(*) FROM after_hours_outbox WHERE kind = 'event' AND due_at <= now()) AS "events",
        (SELECT count(*) FROM after_hours_outbox WHERE kind = 'schedules' AND due_at <= now()) AS "schedules",
        (SELECT count(*) FROM after_hours_outbox WHERE kind IN ('uploads', 'r2') AND due_at <= now()) AS "deletions",
        (SELECT count(*) FROM after_hours_outbox WHERE attempts >= 5) AS "stuck"
"""


def report(database: Database) -> dict[str, int]:
    """Return the number of due, undone things by kind, without zeros, and add the metrics `Undone` and `Stuck`."""
    undone = database.fetch_one(_UNDONE, {"warning_before": WARNING_BEFORE})
    count("Stuck", undone["stuck"])
    count("Undone", sum(number for kind, number in undone.items() if kind != "stuck"))
    return {kind: number for kind, number in undone.items() if number}
