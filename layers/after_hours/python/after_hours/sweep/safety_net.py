"""The sweep's duties about sessions: it ends those that are over, or whose member lost access, and sends late warnings.

Each duty commits batch by batch until no work remains or `deadline` (a time of `time.monotonic`, in seconds) has
passed. It skips rows that another transaction has locked. Its events go to the outbox, and the sweep publishes them.
"""

import time
from uuid import UUID, uuid4

from after_hours.foundation.batches import repeat
from after_hours.foundation.database import Database
from after_hours.foundation.observability import count, measure_seconds
from after_hours.outbox.schedules import WARNING_BEFORE

_EXPIRE_OVERDUE = """
    WITH overdue AS (
        SELECT id FROM after_hours_sessions WHERE ended_at IS NULL AND expires_at <= now()
        ORDER BY expires_at LIMIT 500
        FOR UPDATE SKIP LOCKED
    )
    SELECT
        count(event) AS sessions,
        coalesce(array_agg(extract(epoch FROM now() - expires_at)::float), ARRAY[]::float[]) AS lags
    FROM after_hours_end_sessions(ARRAY(SELECT id FROM overdue), 'expired', interval '0')
"""

# The main app's tables hold what entitles a member, and send no event when it changes, so the sweep reads all live
# sessions, slice by slice. The LIMIT in the LATERAL join makes PostgreSQL look up members one by one. Without it, the
# planner may read those tables whole to join them with a slice.
_END_LAPSED = """
    WITH slice AS (
        SELECT id, user_id FROM after_hours_sessions
        WHERE ended_at IS NULL AND id > %(after)s
        ORDER BY id LIMIT 1000
    ), lapsed AS (
        SELECT slice.id FROM slice LEFT JOIN LATERAL (
            SELECT premium AND verified AND consenting AND EXISTS (
                SELECT FROM after_hours_profiles profile WHERE profile.user_id = slice.user_id
            ) AS may_be_live
            FROM after_hours_entitlements(slice.user_id) LIMIT 1
        ) AS member ON true
        WHERE member.may_be_live IS NOT TRUE
    ), free AS (
        SELECT id FROM after_hours_sessions
        WHERE id = ANY(ARRAY(SELECT id FROM lapsed)) AND ended_at IS NULL AND expires_at > now()
        FOR UPDATE SKIP LOCKED
    ), ended AS (
        SELECT event FROM after_hours_end_sessions(ARRAY(SELECT id FROM free), 'lapsed', interval '0')
    )
    SELECT
        (SELECT id FROM slice ORDER BY id DESC LIMIT 1) AS last,
        (SELECT count(*) FROM slice WHERE id <= %(until)s) AS live,
        (SELECT count(event) FROM ended) AS sessions
"""

_WARN_DUE = """
    WITH due AS (
        SELECT id FROM after_hours_sessions
        WHERE ended_at IS NULL AND warned_for IS DISTINCT FROM expires_at
            AND expires_at > now() AND expires_at <= now() + %(warning_before)s
        ORDER BY expires_at LIMIT 500
        FOR UPDATE SKIP LOCKED
    ), warned AS (
        UPDATE after_hours_sessions s SET warned_for = expires_at
        WHERE s.id = ANY(ARRAY(SELECT id FROM due))
        RETURNING jsonb_build_object(
            'userId', s.user_id, 'sessionId', s.id, 'expiresAt', after_hours_utc(s.expires_at)
        ) AS detail
    )
    SELECT count(*) AS sessions
    FROM after_hours_put_events('SessionExpiring', ARRAY(SELECT detail FROM warned), interval '0')
"""

# Earlier releases stored exact places, and the earlier backend kept the places of ended sessions.
_ERASE_PLACES = """
    WITH placed AS (
        SELECT id FROM after_hours_sessions
        WHERE num_nonnulls(latitude, longitude) > 0
            OR ended_at IS NOT NULL AND num_nonnulls(fuzzed_latitude, fuzzed_longitude) > 0
        ORDER BY id LIMIT 1000
        FOR UPDATE SKIP LOCKED
    )
    UPDATE after_hours_sessions s SET
        latitude = NULL, longitude = NULL,
        fuzzed_latitude = CASE WHEN s.ended_at IS NULL THEN s.fuzzed_latitude END,
        fuzzed_longitude = CASE WHEN s.ended_at IS NULL THEN s.fuzzed_longitude END
    WHERE s.id = ANY(ARRAY(SELECT id FROM placed))
"""

_GREATEST_ID = UUID(int=2**128 - 1)


def expire_overdue(database: Database, deadline: float) -> int:
    """End sessions whose planned end has passed, as of that end. Return the number ended."""

    def expire() -> int:
        ended = database.fetch_one(_EXPIRE_OVERDUE)
        measure_seconds("ExpiryLagSeconds", ended["lags"])
        return int(ended["sessions"])

    expired = repeat(expire, deadline)
    count("SessionsExpired", expired)
    return expired


def end_lapsed(database: Database, deadline: float) -> int:
    """End the live sessions of members who may no longer use After Hours. Return the number ended.

    A round begins at a random id, goes up to the greatest one, and continues from the smallest. So even sweeps that run
    out of time reach every session in the long run, without a stored position.
    """
    lapsed = live = 0
    begin = after = uuid4()
    until = _GREATEST_ID
    while time.monotonic() < deadline:
        slice_ = database.fetch_one(_END_LAPSED, {"after": after, "until": until})
        lapsed += slice_["sessions"]
        live += slice_["live"]
        if slice_["last"] is not None and slice_["last"] <= until:
            after = slice_["last"]
        elif until is _GREATEST_ID:
            after, until = UUID(int=0), begin
        else:
            count("SessionsLive", live)  # a whole round counted each live session once
            break
    count("SessionsLapsed", lapsed)
    return lapsed


def warn_due(database: Database, deadline: float) -> int:
    """Warn the members of sessions that end within five minutes and were not warned. Return the number warned."""
    warned = repeat(
        lambda: int(database.fetch_one(_WARN_DUE, {"warning_before": WARNING_BEFORE})["sessions"]), deadline
    )
    count("SessionsExpiring", warned)
    return warned


def erase_places(database: Database, deadline: float) -> int:
    """Erase places that must not be stored. Return the number of sessions that had one."""
    return repeat(lambda: database.execute(_ERASE_PLACES), deadline)
