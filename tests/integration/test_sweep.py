"""The sweep does what is left undone, whatever was down, killed or refused; one failure does not delay the rest."""

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from after_hours.foundation import clients
from after_hours.foundation.database import Database
from after_hours.outbox import relay
from after_hours.outbox.relay import Kind
from after_hours.sweep import safety_net

from tests.support.phone import Phone
from tests.support.world import MEMBERS, World, soon
from tools.local.workspace import REPOSITORY


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the events that were put on a bus that takes everything."""
    told: list[str] = []

    def put_events(*, Entries: list[dict[str, str]]) -> Any:  # noqa: N803 (boto3's)
        told.extend(entry["Detail"] for entry in Entries)
        return {"Entries": [{"EventId": "1"}] * len(Entries)}

    monkeypatch.setattr(clients, "event_bus", lambda: SimpleNamespace(put_events=put_events))
    return told


@pytest.mark.usefixtures("profile")
def test_the_sweep_warns_and_ends_what_no_schedule_warned_or_ended(phone: Phone, world: World) -> None:
    phone.start()
    assert world.sweep()["warned"] == 0
    world.rows("UPDATE after_hours_sessions SET expires_at = now() + interval '4 minutes'")
    assert [world.sweep()["warned"] for _ in range(2)] == [1, 0]
    world.pass_time(minutes=5)
    assert [world.sweep()["expired"] for _ in range(2)] == [1, 0]
    assert world.rows("SELECT ended_at = expires_at, fuzzed_latitude FROM after_hours_sessions") == [(True, None)]


def test_the_sweep_erases_every_place_that_should_not_be_there(world: World) -> None:
    world.rows(
        "ALTER TABLE after_hours_sessions DROP CONSTRAINT after_hours_sessions_place_erased;"
        "INSERT INTO after_hours_sessions"
        " (user_id, expires_at, ended_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude)"
        " VALUES ('local-entitled', now(), now(), 52.5, 13.4, 52.5, 13.4),"
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
def test_two_sweeps_side_by_side_do_nothing_twice(world: World, bus: list[str]) -> None:
    world.rows(MEMBERS, 1500, "-1 minute")

    def sweep(database: Database) -> tuple[int, int]:
        return safety_net.expire_overdue(database, soon()), relay.do_due(database, soon(), kind=Kind.EVENT)

    done = world.at_once(*[sweep] * 3)
    with world.connection() as database:
        published = sum(events for _, events in done) + relay.do_due(database, soon(), kind=Kind.EVENT)
    assert sum(sessions for sessions, _ in done) == published == len(bus) == len(set(bus)) == 1500
    assert world.counts("after_hours_outbox") == [0]


SWEEP_UNTIL_KILLED = """
import json, sys, time
from after_hours.foundation import database, secrets
from after_hours.sweep import safety_net
ours = database.Database(lambda **_: secrets.DatabaseSecret.model_validate(json.loads(sys.argv[1])))
print("begins", flush=True)
safety_net.expire_overdue(ours, time.monotonic() + 60)
"""


@pytest.mark.slow
def test_a_sweep_that_is_killed_keeps_what_it_has_done(world: World, bus: list[str]) -> None:
    world.rows(MEMBERS, 2500, "-1 minute")
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP_UNTIL_KILLED, json.dumps(world.database.secret)],
        env={"PYTHONPATH": str(REPOSITORY / "layers/after_hours/python"), **os.environ},
        stdout=subprocess.DEVNULL,
    )
    while world.rows("SELECT count(*) FROM after_hours_sessions WHERE ended_at IS NOT NULL") == [(0,)]:
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    [(ended,)] = world.rows("SELECT count(*) FROM after_hours_sessions WHERE ended_at IS NOT NULL")
    assert ended
    assert ended % 500 == 0
    world.sweep()
    world.leases_run_out()
    world.sweep()
    assert world.rows("SELECT count(*) FROM after_hours_sessions WHERE ended_at IS NULL") == [(0,)]
    assert len(set(bus)) == len(bus) == 2500


def test_a_row_that_another_transaction_has_locked_keeps_no_other_waiting(world: World, bus: list[str]) -> None:
    world.rows(MEMBERS, 20, "-1 minute")
    other = world.database.connect()
    with other.cursor() as cursor:
        cursor.execute("UPDATE after_hours_sessions SET warned_for = now() WHERE user_id = 'many-7'")
    assert world.sweep()["expired"] == 19
    other.rollback()
    other.close()
    assert world.sweep()["expired"] == 1


def test_a_duty_that_fails_keeps_no_other_from_its_turn(
    world: World, bus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rows(MEMBERS, 5, "-1 minute")
    monkeypatch.setattr(safety_net, "_END_LAPSED", "SELECT 1 / 0")
    with pytest.raises(Exception, match=r"^lapsed$"):
        world.sweep()
    assert len(bus) == 5


def test_a_sweep_says_how_much_it_leaves(world: World) -> None:
    world.rows(MEMBERS, 3, "1 hour")
    world.rows("UPDATE after_hours_outbox SET attempts = 4, due_at = now()")
    with world.down("SCHEDULER"):
        assert world.sweep()["left"] == {"stuck": 3}


@pytest.mark.slow
@pytest.mark.usefixtures("bus")
def test_every_live_session_is_looked_at_and_counted_wherever_a_round_begins(
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
