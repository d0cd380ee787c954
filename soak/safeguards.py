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
                "migrations/versions/0023_one_outbox.sql",
                "    RETURNING to_jsonb(task)\n",
                '    RETURNING to_jsonb(task) || \'{"key": "lost"}\'\n',
            ),
        ),
        ("bus ailing", "workers killed"),
        "was never announced",
    ),
    Safeguard(
        "lease of events",
        (
            Edit(
                f"{_PACKAGE}/outbox.py",
                "UPDATE after_hours_outbox task SET due_at = now() + interval '1 minute'",
                "UPDATE after_hours_outbox task SET due_at = due_at",
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
                "migrations/versions/0023_one_outbox.sql",
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
        "eventsPublished",
        'Duty("eventsPublished", 6, partial(outbox.do_due, kind=Kind.EVENT))',
        "that was not sent",
        "bus ailing",
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
        'Duty("schedulesRepaired", 6, partial(outbox.do_due, kind=Kind.SCHEDULES))',
        "with wrong schedules",
        "scheduler ailing",
    ),
    _without_duty(
        "photosDeleted",
        'Duty("photosDeleted", 3, partial(outbox.do_due, kind=Kind.R2))',
        "an object that must be deleted",
        "R2 ailing",
    ),
    _without_duty(
        "originalsDeleted",
        'Duty("originalsDeleted", 3, partial(outbox.do_due, kind=Kind.UPLOADS))',
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
            (
                Edit(
                    f"{_PACKAGE}/outbox.py",
                    "least(interval '1 minute' * 2 ^ least(attempts, 10), interval '10 minutes')",
                    "interval '1 minute' * 2 ^ least(attempts, 10)",
                ),
            ),
            (f"{service} refuses for an hour",),
            seen_as,
        )
        for what, service, seen_as in (
            ("events", "bus", "an event that waits for more than ten minutes"),
            ("schedules", "scheduler", "whose schedules wait for more than ten minutes"),
            ("deletions", "R2", "a failed deletion that waits for more than ten minutes"),
        )
    ),
)
