"""How much is undone: what a sweep leaves, and what it has retried for so long that a person must look at it."""

from after_hours.foundation.database import Database
from after_hours.foundation.observability import count
from after_hours.outbox.schedules import WARNING_BEFORE

# Each count reads the index that the sweep's duty for it reads, so that its cost follows what is undone. PostgreSQL
# misestimates how many sessions have a place that should not be stored, and would start parallel workers, or read the
# whole table, only to count none. ORDER BY and LIMIT keep it to the index, and no more than the LIMIT is counted. A
# task counts as stuck after five attempts, which take about half an hour.
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
    """Return how many things of each kind are due and undone, without the kinds that have none.

    It also counts the metrics `Undone` and `Stuck`.
    """
    undone = database.fetch_one(_UNDONE, {"warning_before": WARNING_BEFORE})
    count("Stuck", undone["stuck"])
    count("Undone", sum(number for what, number in undone.items() if what != "stuck"))
    return {what: number for what, number in undone.items() if number}
