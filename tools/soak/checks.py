"""Checks of database, schedules, objects, bus, answers and logs: each returns a sentence for each kind of violation."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from tools.local.schedules import find, moment
from tools.soak.journal import Journal, Outcome
from tools.soak.phones import DEVICE, TEXT
from tools.soak.proxy import Sighting
from tools.soak.rules import AT_REST
from tools.soak.system import System

type Check = Callable[[System, Journal], list[str]]

_LEASE = timedelta(seconds=25)  # the shortest lease of an event is 30 seconds; the rest is for imprecise timing
_FIRES_WITHIN = timedelta(seconds=60)
# A place in decimal degrees. All places that members send lie in these degrees (soak.phones).
_PLACE = re.compile(r"-4[12]\.\d|-7[12]\.\d")
_SHOWN = 4
_SWEEP_SECONDS = 45  # by its own deadlines it takes 20; a cold start and a last wait for an answer are added
_CHECKED = 60  # schedules at the most, since each takes a call

# The event that announces a change, by the name of the change in soak.changes.
EVENTS = {
    "started": "SessionStarted",
    "extended": "SessionExtended",
    "expiring": "SessionExpiring",
    "ended": "SessionEnded",
    "ready": "PhotoReady",
    "rejected": "PhotoRejected",
}

_OPEN = """
    SELECT id::text, date_trunc('second', expires_at + interval '999999 microseconds') FROM after_hours_sessions
    WHERE ended_at IS NULL AND expires_at > now() + interval '15 seconds'
"""
_ENDED = "SELECT id::text FROM after_hours_sessions WHERE ended_at < now() - interval '15 seconds'"


def rows(system: System, _journal: Journal) -> list[str]:
    return sentences(breaches(system, AT_REST))


def breaches(system: System, rules: Mapping[str, str]) -> dict[str, set[str]]:
    """Return the rows that break each of the rules."""
    return {what: {text for (text,) in system.database.run(statement)} for what, statement in rules.items()}


def sentences(found: Mapping[str, Iterable[str]]) -> list[str]:
    """Write a sentence for each kind of violation that was found. It begins with the first names of those found."""
    written = []
    for what, which in found.items():
        if names := sorted(which):
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            written.append(f"{', '.join(names[:_SHOWN])}{more} {what}")
    return written


def schedules(system: System, _journal: Journal) -> list[str]:
    """Every open session has its schedule, for its end; no schedule outlives its session, or its own time."""
    group, client = system.stack.schedule_group, system.client("scheduler")
    names = system.schedules()
    open_ends = dict(system.database.run(_OPEN))
    ended = {id_ for (id_,) in system.database.run(_ENDED)}
    ids = {name: name.partition("-")[2] for name in names}
    unknown = sorted(name for name, id_ in ids.items() if id_ not in open_ends and id_ not in ended)
    right = sorted((f"expire-{id_}", end) for id_, end in open_ends.items() if f"expire-{id_}" in names)

    def at(name: str) -> datetime | None:
        schedule = find(client, group, name)
        return moment(schedule["ScheduleExpression"]) if schedule else None  # None: it has fired since it was listed

    found = {
        "is open and has no schedule": [id_ for id_ in open_ends if f"expire-{id_}" not in names],
        "is a schedule for another end than its session has": [
            name for name, end in right[:_CHECKED] if at(name) not in {None, end}
        ],
        "is a schedule of a session that has ended": [name for name, id_ in ids.items() if id_ in ended],
        "is a schedule whose time is over": [
            name for name in unknown[:_CHECKED] if (at(name) or datetime.now(UTC)) < datetime.now(UTC) - _FIRES_WITHIN
        ],
    }
    return sentences(found)


def objects(system: System, _journal: Journal) -> list[str]:
    """No object without its row, and no row without its object."""
    shown = {
        key
        for (key,) in system.database.run(
            "SELECT object.key FROM after_hours_profiles a, after_hours_photo_objects(a.photo_url) AS object"
        )
    }
    recorded = set(system.database.run("SELECT kind, key FROM after_hours_outbox"))
    awaited = {
        key
        for (key,) in system.database.run(
            "SELECT after_hours_upload_key(user_id, id) FROM after_hours_photo_uploads"
            " WHERE status IN ('pending', 'processing', 'failed')"
        )
    }
    photos = system.objects(system.stack.r2_bucket)
    originals = system.objects(system.stack.upload_bucket)
    found = {
        "is in R2, and no row knows of it": {key for key in photos - shown if ("r2", key) not in recorded},
        "is shown, and not in R2": shown - photos,
        "is in the upload bucket, and no row knows of it": {
            key for key in originals - awaited if ("uploads", key) not in recorded
        },
    }
    return sentences(found)


def announced(system: System, _journal: Journal) -> list[str]:
    """Every change was announced at least once, and every announced change happened."""
    system.listen()
    heard: Counter[tuple[str, str]] = Counter(
        (type_, str(detail.get("sessionId") or detail.get("photoId"))) for type_, detail in system.heard.values()
    )
    happened: Counter[tuple[str, str]] = Counter()
    for what, key, times in system.database.run(
        "SELECT what, key, count(*) FROM soak.changes WHERE what = ANY(%s) GROUP BY 1, 2", (list(EVENTS),)
    ):
        happened[EVENTS[what], key] = times
    found = {
        "was never announced": happened - heard,
        "was announced and did not happen": heard.keys() - happened.keys(),
    }
    return sentences({what: [f"{type_} of {key}" for type_, key in which] for what, which in found.items()})


def reasons(system: System, _journal: Journal) -> list[str]:
    """A session that went with its account was announced as ended for that reason, or because its end had passed."""
    reason = {
        detail["sessionId"]: detail["reason"] for type_, detail in system.heard.values() if type_ == "SessionEnded"
    }
    gone = system.database.run("SELECT key FROM soak.changes WHERE what = 'ended with the account'")
    wrong = [id_ for (id_,) in gone if reason.get(id_) not in {"account_deleted", "expired"}]
    return sentences({"went with its account, and its end was announced for another reason": wrong})


def leases_of_events(system: System, _journal: Journal) -> list[str]:
    found = sent_too_soon_again(system.proxy.sightings, _LEASE, system.clock.leaps)
    return sentences({"is an event that was sent again while another was sending it": found})


def sent_too_soon_again(sightings: Iterable[Sighting], lease: timedelta, leaps: Sequence[float]) -> set[str]:
    """Return the events that were sent again within the lease of their first sender.

    A leap of time ends all leases: after one between a claim and its event, a second sender is right.
    """
    last: dict[str, float] = {}
    again = set()
    seconds = lease.total_seconds()
    for sighting in sorted(sightings, key=lambda each: each.at):
        before = last.get(sighting.event_id, -seconds)
        if sighting.at - before < seconds and not any(before - seconds < leap <= sighting.at for leap in leaps):
            again.add(sighting.event_id)
        last[sighting.event_id] = sighting.at
    return again


def answers(system: System, journal: Journal) -> list[str]:
    """A change that was answered 2xx is there; of one that was answered 4xx there is no trace."""
    changed = system.database.run(
        "SELECT what, user_id, key, transaction::text FROM soak.changes WHERE user_id NOT LIKE '%%crowd%%'"
    )
    return [*named(journal, changed), *counted(journal, changed)]


def named(journal: Journal, changed: Iterable[tuple[str, str, str | None, str]]) -> list[str]:
    """Compare changes that callers can name: by the text that they sent, or the id that they got."""
    found = defaultdict(set)
    keys = defaultdict(set)
    for what, _, key, _ in changed:
        keys[what].add(key)
    for what in ("described", "started", "asked", "ended"):
        asked = defaultdict(set)
        for each in journal.asked:
            if each.what == what and each.key:
                asked[each.outcome].add(each.key)
        found[f"was {what}, and nothing of it is there"] = asked[Outcome.DONE] - keys[what]
        found[f"was refused, and is {what} all the same"] = asked[Outcome.REFUSED] & keys[what]
    return sentences(found)


def counted(journal: Journal, changed: Iterable[tuple[str, str, str | None, str]]) -> list[str]:
    """Compare numbers of changes: at least those answered 2xx were made, at most also those answered 5xx."""
    made: dict[tuple[str, str], set[tuple[str, str | None]]] = defaultdict(set)
    for what, member, key, transaction in changed:
        made[what, member].add((transaction, None if what == "left" else key))
    violations = []
    for what in ("described", "preferred", "started", "extended", "asked", "left"):
        by_member: dict[str, Counter[Outcome]] = defaultdict(Counter)
        for each in journal.asked:
            by_member[each.member][each.outcome] += each.what == what
        for member in by_member.keys() | {member for kind, member in made if kind == what}:
            outcomes, times = by_member[member], len(made[what, member])
            least, most = outcomes[Outcome.DONE], outcomes[Outcome.DONE] + outcomes[Outcome.UNKNOWN]
            if not least <= times <= most:
                violations.append(f"{member} {what} {times} times, though the answers say {least} to {most}")
    return violations


def logs(system: System, _journal: Journal) -> list[str]:
    """No secret, no text of a member and no place is in any log."""
    secrets = {"a text": TEXT, "a device": DEVICE, "a token": "eyJhbGciOi"}
    secrets |= {f"secret {number}": value for number, value in enumerate(system.secrets())}
    written = {"PostgreSQL": (system.workspace.logs / "postgresql.log").read_text(errors="replace")}
    client = system.client("logs")
    for name, function in system.stack.functions.items():
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
        written[name] = "\n".join(event["message"] for page in pages for event in page["events"])
    return [
        f"The log of {name} holds {what}"
        for name, text in written.items()
        for what, there in (
            *((what, secret in text) for what, secret in secrets.items()),
            ("a place", _PLACE.search(text) is not None),
        )
        if there
    ]


def sweeps(system: System, _journal: Journal) -> list[str]:
    longest = system.longest_sweep_seconds
    return [f"A sweep took longer than it may, {longest:.0f} s"] if longest > _SWEEP_SECONDS else []
