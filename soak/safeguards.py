"""The safeguards: how to take each out of a copy of the code, and which faults then show that it is missing.

An edit names the text that it replaces, and fails when that text is not there, so that the table cannot go stale.
"""

from pathlib import Path
from typing import NamedTuple

_PACKAGE = "layers/after_hours/python/after_hours"
_SWEEP = "functions/sweep/handler.py"


class Edit(NamedTuple):
    """A text that is in a file exactly once, and what replaces it."""

    file: str
    old: str
    new: str


class Safeguard(NamedTuple):
    """`shown_by` are names of faults; `seen_as` is part of the violation that the soak must then report."""

    name: str
    edits: tuple[Edit, ...]
    shown_by: tuple[str, ...]
    seen_as: str


class EditDoesNotApply(Exception):
    """The code has changed, and the table of safeguards must change with it."""


def apply(edit: Edit, root: Path) -> None:
    """Make the edit in the copy at `root`. Raises `EditDoesNotApply`."""
    path = root / edit.file
    text = path.read_text() if path.exists() else ""
    if text.count(edit.old) != 1:
        raise EditDoesNotApply(f"{edit.file} holds {text.count(edit.old)} times: {edit.old!r}")
    path.write_text(text.replace(edit.old, edit.new))


def _without_duty(name: str, line: str, seen_as: str, *shown_by: str) -> Safeguard:
    return Safeguard(f"duty {name}", (Edit(_SWEEP, f"    {line},\n", ""),), shown_by, seen_as)


SAFEGUARDS = (
    Safeguard(
        "outbox",
        (
            Edit(
                "migrations/versions/0016_functions_that_are_ours.py",
                "    INSERT INTO %1$I.after_hours_domain_events (type, detail, due_at) "
                "VALUES (event_type, event_detail, now() + lease)\n    RETURNING jsonb_build_object(\n"
                "        'id', id, 'type', type, 'occurredAt', %1$I.after_hours_utc(occurred_at), 'detail', detail\n"
                "    )\n",
                "    SELECT jsonb_build_object(\n        'id', gen_random_uuid(), 'type', event_type,\n"
                "        'occurredAt', %1$I.after_hours_utc(now()), 'detail', event_detail\n    )\n",
            ),
        ),
        ("bus ailing", "workers killed"),
        "was never announced",
    ),
    Safeguard(
        "lease of events",
        (
            Edit(
                f"{_PACKAGE}/domain_events.py",
                "UPDATE after_hours_domain_events event SET due_at = now() + interval '1 minute'",
                "UPDATE after_hours_domain_events event SET due_at = due_at",
            ),
        ),
        ("crowd due in one second",),
        "sent again while another was sending it",
    ),
    Safeguard(
        "lease of photos",
        (
            Edit(
                f"{_PACKAGE}/uploads.py",
                " AND (leased_until <= now()) IS NOT FALSE\n",
                "\n",
            ),
        ),
        ("R2 slow",),
        "two functions made at once",
    ),
    Safeguard(
        "unique index",
        (
            Edit(
                "migrations/earlier_backend.py",
                "CREATE UNIQUE INDEX idx_after_hours_sessions_active_user",
                "CREATE INDEX idx_after_hours_sessions_active_user",
            ),
            Edit(
                f"{_PACKAGE}/sessions.py",
                "        ON CONFLICT (user_id) WHERE ended_at IS NULL DO NOTHING\n",
                "",
            ),
        ),
        ("earlier release beside",),
        "has two open sessions",
    ),
    Safeguard(
        "expiry's look at expires_at",
        (
            Edit(
                "migrations/versions/0022_one_end.sql",
                "\n        AND (session.expires_at <= now() OR reason <> 'expired')\n",
                "\n",
            ),
        ),
        ("events early",),
        "ended before its end",
    ),
    Safeguard(
        "deletion recorded before the object",
        (
            Edit(
                f"{_PACKAGE}/uploads.py",
                "            ('r2', %(photo_key)s, interval '15 minutes'),\n"
                "            ('r2', %(thumbnail_key)s, interval '15 minutes'),\n",
                "",
            ),
            Edit(f"{_PACKAGE}/uploads.py", "(SELECT count(*) FROM covered) = 3", "(SELECT count(*) FROM covered) = 1"),
        ),
        ("makers of photos killed",),
        "is in R2, and no row knows of it",
    ),
    _without_duty("expired", 'Duty("expired", 6, safety_net.expire_overdue)', "open past its end", "time leaps"),
    _without_duty("lapsed", 'Duty("lapsed", 6, safety_net.end_lapsed)', "someone who may not be live", "events early"),
    _without_duty("warned", 'Duty("warned", 3, safety_net.warn_due)', "of which nobody was warned", "events early"),
    _without_duty(
        "placesErased",
        'Duty("placesErased", 2, safety_net.erase_places)',
        "with an exact place",
        "earlier release beside",
    ),
    _without_duty(
        "eventsPublished", 'Duty("eventsPublished", 6, domain_events.publish_due)', "that was not sent", "bus ailing"
    ),
    _without_duty(
        "uploadsFailed",
        'Duty("uploadsFailed", 2, uploads.fail_stuck)',
        "nothing has happened for a quarter of an hour",
        "time leaps",
    ),
    _without_duty(
        "uploadsForgotten",
        'Duty("uploadsForgotten", 1, retention.forget_uploads)',
        "a newer one replaced a day ago",
        "events early",
    ),
    _without_duty(
        "departedForgotten",
        'Duty("departedForgotten", 1, retention.forget_departed)',
        "who left more than an hour ago",
        "events early",
    ),
    _without_duty(
        "sessionsForgotten",
        'Duty("sessionsForgotten", 1, retention.forget_sessions)',
        "more than ninety days ago",
        "events early",
    ),
    _without_duty(
        "schedulesLost",
        'Duty("schedulesLost", 2, schedules.find_lost)',
        "is open and has no schedule",
        "schedules vanish",
    ),
    _without_duty(
        "schedulesRepaired",
        'Duty("schedulesRepaired", 6, schedules.repair)',
        "with wrong schedules",
        "scheduler ailing",
    ),
    _without_duty(
        "photosDeleted",
        'Duty("photosDeleted", 3, partial(deletions.carry_out_due, store=Store.R2))',
        "an object that must be deleted",
        "R2 ailing",
    ),
    _without_duty(
        "originalsDeleted",
        'Duty("originalsDeleted", 3, partial(deletions.carry_out_due, store=Store.UPLOADS))',
        "an object that must be deleted",
        "S3 ailing",
    ),
    Safeguard(
        "deadlines of duties",
        (Edit(_SWEEP, "duty.do(database, began + (end - began) * share)", 'duty.do(database, float("inf"))'),),
        ("crowd without schedules",),
        "took longer than it may",
    ),
    *(
        Safeguard(
            f"longest backoff of {what}",
            (Edit(f"{_PACKAGE}/{module}.py", old, new),),
            (f"{service} refuses for an hour",),
            seen_as,
        )
        for what, module, service, old, new, seen_as in (
            (
                "events",
                "domain_events",
                "bus",
                "least(interval '1 minute' * 2 ^ least(attempts, 10), interval '10 minutes')",
                "interval '1 minute' * 2 ^ least(attempts, 10)",
                "an event that waits for more than ten minutes",
            ),
            (
                "schedules",
                "schedules",
                "scheduler",
                "least(interval '1 minute' * 2 ^ least(schedule_attempts, 10), interval '10 minutes')",
                "interval '1 minute' * 2 ^ least(schedule_attempts, 10)",
                "whose schedules wait for more than ten minutes",
            ),
            (
                "deletions",
                "deletions",
                "R2",
                "least(interval '1 minute' * 2 ^ least(attempts, 10), interval '10 minutes')",
                "interval '1 minute' * 2 ^ least(attempts, 10)",
                "a failed deletion that waits for more than ten minutes",
            ),
        )
    ),
)
