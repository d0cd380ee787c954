"""The sweep does undone tasks after any fault of a service or a function. One failure does not delay the others."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from after_hours.foundation import calls, clients, storage
from after_hours.foundation.database import Database
from after_hours.foundation.faults import ServiceUnavailable
from after_hours.outbox import relay, schedules
from after_hours.outbox.relay import Kind
from after_hours.sweep import safety_net

from tests.support.phone import Phone
from tests.support.world import MEMBERS, World, soon

PREFIXES = {Kind.UPLOADS: "uploads/", Kind.R2: "after-hours-photos/"}
PAYLOADS = {Kind.EVENT: '{"type": "T", "occurredAt": "", "detail": {}}', Kind.SCHEDULES: '{"expiresAt": null}'}
TASKS = """
    INSERT INTO after_hours_outbox (kind, key, payload, due_at)
    SELECT %s, %s || n, %s, now() - %s::interval FROM generate_series(1, %s) AS n
"""
ALL_TASKS = "SELECT kind, key, payload, attempts, version FROM after_hours_outbox"
PUT_DELETION = "SELECT after_hours_put_deletions(ARRAY[%s], ARRAY[%s], interval '0')"


class Outside:
    """Every service that tasks call. A key with "refused" or "silent" in it fails, the latter after a moment."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def answer(self, *keys: str) -> tuple[()]:
        self.calls.append(list(keys))
        if any("silent" in key for key in keys):
            time.sleep(0.02)
            raise ServiceUnavailable("silent")
        if any("refused" in key for key in keys):
            raise ServiceUnavailable("refused")
        return ()

    def put_events(self, *, Entries: list[dict[str, str]]) -> Any:  # noqa: N803 (boto3's)
        """Refuse single events, or the whole call because of a poisonous one."""
        ids = [json.loads(entry["Detail"])["eventId"] for entry in Entries]
        self.answer(*(id_ for id_ in ids if "refused" not in id_ or "poison" in id_))
        return {"Entries": [{"ErrorCode": "Malformed"} if "refused" in id_ else {"EventId": "1"} for id_ in ids]}

    def asked_for(self, word: str) -> list[str]:
        return [key for keys in self.calls for key in keys if word in key]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    outside = Outside()
    monkeypatch.setattr(clients, "event_bus", lambda: outside)
    monkeypatch.setattr(schedules, "carry_out", lambda change: outside.answer(change.session_id))
    monkeypatch.setattr(storage.Bucket, "delete", lambda _, key: outside.answer(key))
    return outside


def put(world: World, kind: Kind, name: str, number: int = 1, due: str = "1 minute") -> None:
    world.rows(TASKS, kind, PREFIXES.get(kind, "") + name, PAYLOADS.get(kind, "{}"), due, number)


@pytest.mark.parametrize("kind", Kind)
def test_refused_tasks_back_off_and_keep_no_other_waiting(world: World, outside: Outside, kind: Kind) -> None:
    postponed = """
        SELECT count(*), min(attempts), max(attempts), min(due_at) > now(), max(due_at) <= now() + interval '10 minutes'
        FROM after_hours_outbox
    """
    put(world, kind, "refused", 400, due="1 hour")
    put(world, kind, "good")
    world.sweep()
    assert outside.asked_for("good")
    assert world.rows(postponed) == [(400, 1, 1, True, True)]
    world.rows("UPDATE after_hours_outbox SET attempts = 4, due_at = now()")
    assert world.sweep()["left"] == {"stuck": 400}
    assert world.rows(postponed) == [(400, 5, 5, True, True)]


@pytest.mark.parametrize("kind", Kind)
def test_a_silent_service_costs_a_few_calls_and_keeps_no_other_waiting(
    world: World, outside: Outside, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    monkeypatch.setattr(calls, "_SILENCE_SECONDS", 0.01)
    for each in Kind:
        put(world, each, "silent" if each is kind else "good", 200)
    world.sweep()
    assert 1 <= sum("silent" in keys[0] for keys in outside.calls) <= 8  # no more than at a time
    untried = "SELECT kind, count(*) FILTER (WHERE attempts = 0) >= 120 FROM after_hours_outbox GROUP BY 1"
    assert world.rows(untried) == [(kind, True)]


def test_an_event_that_makes_its_call_fail_is_sent_alone_afterwards(world: World, outside: Outside) -> None:
    put(world, Kind.EVENT, "good", 9)
    put(world, Kind.EVENT, "poison refused")
    assert world.sweep()["eventsPublished"] == 0
    world.leases_run_out()
    assert world.sweep()["eventsPublished"] == 9
    assert world.rows("SELECT key, attempts FROM after_hours_outbox") == [("poison refused1", 2)]


def test_a_task_written_anew_is_not_taken_for_done(world: World, outside: Outside) -> None:
    put(world, Kind.R2, "k")
    key = f"{PREFIXES[Kind.R2]}k1"
    with world.connection() as database:
        read = database.fetch_all(ALL_TASKS)
        world.rows(PUT_DELETION, "r2", key)  # by a function that makes the object again meanwhile
        relay.do_now(database, read)
        assert world.counts("after_hours_outbox") == [1]
        relay.do_now(database, database.fetch_all(ALL_TASKS))
    assert world.counts("after_hours_outbox") == [0]


@pytest.mark.usefixtures("profile")
def test_an_object_that_is_not_ours_is_never_deleted(phone: Phone, world: World, output: Callable[[], str]) -> None:
    foreign = ["main-app/1.jpg", "/after-hours-photos/a.jpg", "uploads/a", "after-hours-photos"]
    for key in foreign:
        world.put_photo(key)
        world.rows(PUT_DELETION, "r2", key)
    world.put_original("after-hours-photos/a", b"x")
    world.rows(PUT_DELETION, "uploads", "after-hours-photos/a")
    world.rows("UPDATE after_hours_profiles SET photo_url = 'main-app/1.jpg'")
    phone.leave()  # deletes what its profile names, at once
    world.leases_run_out()
    world.sweep()
    assert world.photos() == set(foreign)
    assert world.originals() == {"after-hours-photos/a"}
    assert world.counts("after_hours_outbox") == [0]
    assert output().replace(" ", "").count('"ForeignDeletions":[') == 2  # of the sweep and of the member's call


def test_the_sweep_erases_every_place_that_should_not_be_there(world: World) -> None:
    world.rows(
        "ALTER TABLE after_hours_sessions DROP CONSTRAINT after_hours_sessions_place_erased;"
        "INSERT INTO after_hours_sessions"
        " (user_id, expires_at, ended_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude)"
        " VALUES ('local-entitled', now(), now(), NULL, NULL, 52.5, 13.4),"
        " ('local-entitled', now() + interval '1 hour', NULL, 52.5, 13.4, 52.6, 13.5);"
        "ALTER TABLE after_hours_sessions ADD CONSTRAINT after_hours_sessions_place_erased CHECK"
        " (ended_at IS NULL OR num_nonnulls(latitude, longitude, fuzzed_latitude, fuzzed_longitude) = 0) NOT VALID;"
        "INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled')"
    )
    assert [world.sweep()["placesErased"] for _ in range(2)] == [2, 0]
    assert world.rows(
        "SELECT latitude, longitude, fuzzed_latitude::text, fuzzed_longitude::text FROM after_hours_sessions ORDER BY 3"
    ) == [(None, None, "52.60000000", "13.50000000"), (None, None, None, None)]


@pytest.mark.slow
def test_sweeps_that_die_or_run_side_by_side_lose_nothing_and_do_nothing_twice(
    world: World, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep(database: Database) -> tuple[int, int]:
        return safety_net.expire_overdue(database, soon()), relay.do_due(database, soon(), kind=Kind.EVENT)

    world.rows(MEMBERS, 1500, "-1 minute")
    with monkeypatch.context() as patch:
        patch.setattr(safety_net, "measure_seconds", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.at_once(sweep)
    ended = "SELECT count(*) FROM after_hours_sessions WHERE ended_at IS NOT NULL"
    assert world.rows(ended) == [(500,)]
    done = world.at_once(*[sweep] * 3)
    published = sum(events for _, events in done) + sum(events for _, events in world.at_once(sweep))
    ids = outside.asked_for("")
    assert sum(sessions for sessions, _ in done) == 1000
    assert published == len(ids) == len(set(ids)) == 1500
    # While a claim looks at a row, another sweep cannot settle it: the task stays until its lease is over.
    assert world.counts("after_hours_outbox")[0] < 400
    assert world.rows("SELECT FROM after_hours_outbox WHERE due_at <= now()") == []


def test_a_row_that_another_transaction_has_locked_keeps_no_other_waiting(world: World, outside: Outside) -> None:
    world.rows(MEMBERS, 20, "-1 minute")
    put(world, Kind.R2, "locked")
    put(world, Kind.R2, "free")
    with closing(world.database.connect()) as other, other.cursor() as cursor:
        cursor.execute("UPDATE after_hours_sessions SET warned_for = now() WHERE user_id = 'many-7'")
        cursor.execute("SELECT FROM after_hours_outbox WHERE key LIKE '%locked%' FOR UPDATE")
        did = world.sweep()
        assert (did["expired"], did["photosDeleted"]) == (19, 1)
        other.rollback()  # a connection that is closed keeps its locks until the server has noticed
    did = world.sweep()
    assert (did["expired"], did["photosDeleted"]) == (1, 1)


def test_a_duty_that_fails_keeps_no_other_from_its_turn(
    world: World, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rows(MEMBERS, 5, "-1 minute")
    monkeypatch.setattr(safety_net, "_END_LAPSED", "SELECT 1 / 0")
    with pytest.raises(Exception, match=r"^lapsed$"):
        world.sweep()
    assert len(outside.asked_for("")) == 5


@pytest.mark.slow
@pytest.mark.usefixtures("outside")
def test_every_live_session_is_checked_and_counted_wherever_a_round_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, int]] = []
    monkeypatch.setattr(safety_net, "count", lambda name, value: counted.append((name, value)))
    world.rows(MEMBERS, 1100, "1 hour")
    world.rows("UPDATE users SET after_hours_consent = false WHERE id LIKE 'many-%%7'")
    world.rows("DELETE FROM after_hours_profiles WHERE user_id LIKE 'many-%%9'")
    with world.connection() as database:
        assert [safety_net.end_lapsed(database, soon()) for _ in range(2)] == [220, 0]
    assert [value for name, value in counted if name == "SessionsLive"] == [1100, 880]
    assert world.rows("SELECT count(*) FROM after_hours_sessions WHERE ended_at IS NOT NULL") == [(220,)]
    due = "SELECT count(*) FROM after_hours_outbox WHERE kind = 'schedules' AND due_at <= now()"
    assert world.rows(due) == [(220,)]  # the same sweep deletes their schedules
