"""Domain events are published at least once: by the call, or by the sweep. None contains a place."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from itertools import permutations
from typing import Any

import pytest

from tests.support.environment import SETTINGS
from tests.support.phone import Phone, refused
from tests.support.world import World
from tools.contract import events
from tools.local import postgres

type Read = Callable[[], list[dict[str, Any]]]

ID = "local-entitled"

pytestmark = pytest.mark.usefixtures("profile")


@pytest.fixture
def published(world: World, on_the_bus: list[dict[str, Any]]) -> Read:
    """Read the events that were put on our bus since the last time."""

    def read() -> list[dict[str, Any]]:
        assert {entry["EventBusName"] for entry in on_the_bus} <= {SETTINGS["EVENT_BUS"]}
        events = [json.loads(entry["Detail"]) | {"type": entry["DetailType"]} for entry in on_the_bus]
        on_the_bus.clear()
        return events

    return read


def written(moment: datetime) -> str:
    """Return a time as the JSON of an answer has it."""
    return moment.isoformat().replace("+00:00", "Z")


def test_each_change_of_a_session_is_published_once_and_a_refused_one_is_not(
    phone: Phone, world: World, published: Read
) -> None:
    phone.update_profile(description="a text for one night")
    for change in (phone.extend, phone.end):
        with refused("404 NO_ACTIVE_SESSION"):
            change()
    started = phone.start()
    with refused("409 SESSION_ALREADY_ACTIVE"):
        phone.start()
    extended = phone.extend(30)
    ended = phone.end()
    who = {"userId": ID, "sessionId": str(started.id)}
    described: list[tuple[str, dict[str, Any]]] = [
        ("SessionStarted", {"startedAt": written(started.started_at), "expiresAt": written(started.expires_at)}),
        ("SessionExtended", {"expiresAt": written(extended.expires_at), "extendedByMinutes": 30}),
        ("SessionEnded", {"endedAt": written(ended.ended_at), "reason": "user"}),
    ]
    events = [{name: event[name] for name in event if name not in {"eventId", "occurredAt"}} for event in published()]
    assert events == [who | detail | {"type": name} for name, detail in described]
    assert world.counts("after_hours_outbox") == [0]


def test_a_member_is_warned_once_and_each_way_to_an_end_has_its_reason(
    phone: Phone, world: World, published: Read
) -> None:
    def lapse() -> None:
        world.rows("UPDATE users SET after_hours_consent = false")
        world.sweep()
        world.rows("UPDATE users SET after_hours_consent = true")

    ways: list[tuple[int, Callable[[], object], list[str]]] = [
        (0, world.sweep, []),
        (26, lambda: world.fire("warning", session.id), ["SessionExpiring"]),
        (0, world.sweep, []),
        (4, lambda: world.fire("expiry", session.id), ["expired"]),
        (26, world.sweep, ["SessionExpiring"]),
        (0, world.sweep, []),
        (4, world.sweep, ["expired"]),
        (30, phone.start, ["expired"]),
        (0, lapse, ["lapsed"]),
        (0, phone.leave, ["profile_deleted"]),
    ]
    for minutes, do, expected in ways:
        session = phone.session() or phone.start()
        published()
        world.pass_time(minutes=minutes)
        do()
        events = [event for event in published() if event["type"] != "SessionStarted"]
        assert [event.get("reason", event["type"]) for event in events] == expected
        if expected == ["expired"]:
            in_time = "SELECT ended_at = expires_at FROM after_hours_sessions WHERE id = %s"
            assert world.rows(in_time, str(session.id)) == [(True,)]


CONSUMER = """
    CREATE TEMPORARY TABLE after_hours_live (session_id TEXT PRIMARY KEY, user_id TEXT, expires_at TEXT, ended_at TEXT)
"""


def test_a_consumer_as_the_page_has_it_needs_no_order(
    phone: Phone, world: World, published: Read, migrated: postgres.Database
) -> None:
    _, keep = re.findall(r"```sql\n(.*?)```", events.PAGE.read_text(), re.DOTALL)
    session = phone.start(duration=15)
    world.fire("warning", session.id)
    extended = phone.extend(15)
    ended = phone.end()
    details = published()
    rows = set()
    with closing(migrated.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(CONSUMER)
        for order in permutations(details):
            for detail in (*order, *order):
                cursor.execute(keep, {"expiresAt": None, "endedAt": None} | detail)
            cursor.execute("DELETE FROM after_hours_live RETURNING *")
            rows.update(cursor.fetchall())
    assert rows == {(str(session.id), ID, written(extended.expires_at), written(ended.ended_at))}
