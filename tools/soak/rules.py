"""What must be so. A rule is a sentence, and a statement that returns the rows that break it.

Rows are text that may be printed: ids and times, never a place.
"""

from collections.abc import Iterable, Mapping

from tools.soak.database import RetryingDatabase

type Rules = Mapping[str, str]

_SHOWN = 4

# At any moment, during any fault.
ALWAYS: Rules = {
    "has two open sessions": """
        SELECT user_id FROM after_hours_sessions WHERE ended_at IS NULL GROUP BY user_id HAVING count(*) > 1
    """,
    "is an ended session with a place": """
        SELECT id::text FROM after_hours_sessions
        WHERE ended_at IS NOT NULL AND num_nonnulls(latitude, longitude, fuzzed_latitude, fuzzed_longitude) > 0
    """,
    "is a session that expired before its end": """
        SELECT key FROM soak.changes JOIN soak.heard USING (key) WHERE what = 'ended early' AND reason = 'expired'
    """,
    "is a photo that two functions made at once": "SELECT key FROM soak.changes WHERE what = 'claimed twice'",
    "is an upload leased for more than a minute": """
        SELECT id::text FROM after_hours_photo_uploads WHERE leased_until > now() + interval '61 seconds'
    """,
    # A deletion may be planned for a day later. What has failed is tried again within ten minutes.
    "is a task that waits longer than it may": """
        SELECT format('%s %s after %s attempts', kind, key, attempts) FROM after_hours_outbox
        WHERE due_at > now() + CASE
            WHEN kind IN ('uploads', 'r2') AND attempts = 0 THEN interval '24 hours 1 minute'
            ELSE interval '601 seconds'
        END
    """,
}

# Once no fault is injected any more, and sweeps have run.
AT_REST: Rules = {
    "is a session that is open past its end": """
        SELECT id::text FROM after_hours_sessions WHERE ended_at IS NULL AND expires_at < now() - interval '5 seconds'
    """,
    "is a live session whose member is not entitled": """
        SELECT s.id::text FROM after_hours_sessions s LEFT JOIN users u ON u.id = s.user_id
        WHERE s.ended_at IS NULL AND s.expires_at > now() AND (
            u.id_verified IS NOT TRUE OR u.after_hours_consent IS NOT TRUE
            OR NOT EXISTS (SELECT FROM user_subscriptions p WHERE p.user_id = u.id AND p.is_active)
            OR NOT EXISTS (SELECT FROM after_hours_profiles a WHERE a.user_id = u.id)
        )
    """,
    "is a session that ends in minutes, without a warning": """
        SELECT id::text FROM after_hours_sessions
        WHERE ended_at IS NULL AND expires_at > now() AND expires_at < now() + interval '270 seconds'
            AND warned_for IS DISTINCT FROM expires_at
    """,
    "is a session with an exact place": """
        SELECT id::text FROM after_hours_sessions WHERE num_nonnulls(latitude, longitude) > 0
    """,
    "is a task that was not done": """
        SELECT format('%s %s after %s attempts', kind, key, attempts) FROM after_hours_outbox
        WHERE kind = 'schedules' OR due_at < now() OR attempts > 0
    """,
    "is an upload in which nothing has happened for a quarter of an hour": """
        SELECT id::text FROM after_hours_photo_uploads
        WHERE status IN ('pending', 'processing') AND changed_at < now() - interval '16 minutes'
    """,
    "is an upload that a newer one replaced a day ago": """
        SELECT older.id::text FROM after_hours_photo_uploads older
        WHERE requested_at < now() - interval '25 hours' AND EXISTS (
            SELECT FROM after_hours_photo_uploads newer
            WHERE newer.user_id = older.user_id AND newer.number > older.number
        )
    """,
    "is a session of a member who left more than an hour ago": """
        SELECT s.id::text FROM after_hours_sessions s JOIN (
            SELECT user_id, max(at) AS at FROM soak.changes WHERE what = 'left' GROUP BY user_id
        ) AS departure ON departure.user_id = s.user_id  -- the last: leaving again begins another hour
        WHERE s.ended_at < now() - interval '2 hours' AND s.created_at < now() - interval '2 hours'
            AND NOT EXISTS (SELECT FROM after_hours_profiles a WHERE a.user_id = s.user_id)
            AND departure.at < now() - interval '2 hours'
    """,
    "is a session that ended more than ninety days ago": """
        SELECT id::text FROM after_hours_sessions WHERE ended_at < now() - interval '90 days 1 hour'
    """,
    "is the device of a session that is gone": """
        SELECT id::text FROM device_fingerprints d
        WHERE NOT EXISTS (SELECT FROM after_hours_sessions s WHERE s.id = d.session_id)
    """,
    "is an open session without a schedule": """
        SELECT id::text FROM after_hours_sessions
        WHERE ended_at IS NULL AND expires_at > now() + interval '15 seconds'
            AND 'expire-' || id NOT IN (SELECT name FROM soak.schedules)
    """,
    "is a schedule for another end than its session has": """
        SELECT name FROM soak.schedules JOIN after_hours_sessions ON name = 'expire-' || id
        WHERE ended_at IS NULL AND expires_at > now() + interval '15 seconds'
            AND at <> date_trunc('second', expires_at + interval '999999 microseconds')
    """,
    "is a schedule of a session that has ended": """
        SELECT name FROM soak.schedules JOIN after_hours_sessions ON name IN ('expire-' || id, 'warn-' || id)
        WHERE ended_at < now() - interval '15 seconds'
    """,
    "is a schedule whose time is over": "SELECT name FROM soak.schedules WHERE at < now() - interval '60 seconds'",
    "is in R2, and no row knows of it": """
        SELECT key FROM soak.objects WHERE store = 'r2' AND key NOT IN (
            SELECT shown.key FROM after_hours_profiles, after_hours_photo_objects(photo_url) AS shown
            UNION SELECT key FROM after_hours_outbox WHERE kind = 'r2'
        )
    """,
    "is shown, and not in R2": """
        SELECT shown.key FROM after_hours_profiles, after_hours_photo_objects(photo_url) AS shown
        WHERE shown.key NOT IN (SELECT key FROM soak.objects WHERE store = 'r2')
    """,
    "is in the upload bucket, and no row knows of it": """
        SELECT key FROM soak.objects WHERE store = 'uploads' AND key NOT IN (
            SELECT after_hours_upload_key(user_id, id) FROM after_hours_photo_uploads
            WHERE status IN ('pending', 'processing', 'failed')
            UNION SELECT key FROM after_hours_outbox WHERE kind = 'uploads'
        )
    """,
    "was never announced": """
        SELECT type || ' of ' || key FROM (
            SELECT what AS type, key, count(*) AS times FROM soak.changes WHERE what ~ '^[A-Z]' GROUP BY 1, 2
        ) AS happened LEFT JOIN (
            SELECT type, key, count(DISTINCT event_id) AS times FROM soak.heard GROUP BY 1, 2
        ) AS announced USING (type, key)
        WHERE happened.times > coalesce(announced.times, 0)
    """,
    "was announced and did not happen": """
        SELECT type || ' of ' || key FROM soak.heard WHERE (type, key) NOT IN (SELECT what, key FROM soak.changes)
    """,
}

# Once, at the end.
IN_THE_END: Rules = {
    "was answered 2xx, and nothing of it is there": """
        SELECT what || ' ' || key FROM soak.asked
        WHERE outcome = 'done' AND key IS NOT NULL AND NOT EXISTS (
            SELECT FROM soak.changes WHERE (changes.what, changes.key) = (asked.what, asked.key)
        )
    """,
    # At least the changes that were answered 2xx were made, at most also those that were answered 5xx, and none that
    # was refused. A member leaves once, though profile and preferences go.
    "is not as often as the answers say": """
        SELECT format('%s %s %s times, not %s to %s', user_id, what, made, least, most) FROM (
            SELECT what, user_id, count(DISTINCT change) AS made, count(*) FILTER (WHERE outcome = 'done') AS least,
                count(*) FILTER (WHERE outcome IN ('done', 'unknown')) AS most
            FROM (
                SELECT what, user_id, outcome, NULL AS change FROM soak.asked
                UNION ALL
                SELECT what, user_id, NULL, format('%s %s', transaction, CASE WHEN what <> 'left' THEN key END)
                FROM soak.changes
            ) AS asked_or_made
            GROUP BY 1, 2
        ) AS counted
        WHERE what IN ('described', 'preferred', 'SessionStarted', 'SessionExtended', 'asked', 'left')
            AND user_id NOT LIKE '%crowd%' AND made NOT BETWEEN least AND most
    """,
    "is not an event as docs/events describes it": "SELECT fault FROM soak.heard WHERE fault <> ''",
    "went with its account, and its end was announced for another reason": """
        SELECT key FROM soak.changes WHERE what = 'ended with the account' AND key NOT IN (
            SELECT key FROM soak.heard WHERE type = 'SessionEnded' AND reason IN ('account_deleted', 'expired')
        )
    """,
    # The shortest lease of an event is 30 seconds; the rest is for imprecise timing. A leap of time ends all leases:
    # after one between a claim and its event, a second sender is right.
    "is an event that was sent again while another was sending it": """
        SELECT event_id FROM (
            SELECT event_id, at, lag(at) OVER (PARTITION BY event_id ORDER BY at) AS before FROM soak.heard
        ) AS sending
        WHERE at - before < 25000
            AND NOT EXISTS (SELECT FROM soak.leaps WHERE leaps.at BETWEEN before - 25000 AND sending.at)
    """,
    # By its own deadlines a sweep takes 20 seconds; a cold start and a last wait for an answer are added.
    "is longer than a sweep may take": "SELECT seconds::int || ' s' FROM soak.sweeps WHERE seconds > 45",
    "is in a log": "SELECT what || ' in the log of ' || name FROM soak.logs JOIN soak.secrets ON content ~ pattern",
}


def broken(database: RetryingDatabase, rules: Rules) -> dict[str, set[str]]:
    """Return the rows that break each of the rules."""
    return {rule: {row for (row,) in database.run(statement)} for rule, statement in rules.items()}


def sentences(found: Mapping[str, Iterable[str]]) -> list[str]:
    """Write a sentence for each rule that is broken. It begins with the first of the rows that break it."""
    written = []
    for rule, rows in found.items():
        if names := sorted(rows):
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            written.append(f"{', '.join(names[:_SHOWN])}{more} {rule}")
    return written
