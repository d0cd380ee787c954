"""The release before has left work of each kind in its own tables: the migration moves all of it into the outbox."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from migrations.upgrade import upgrade
from tests.support.databases import run
from tests.support.waiting import until
from tools.local import postgres

EVENT = "SELECT after_hours_tell('PhotoReady', '{\"photoId\": \"1\"}', interval '30 seconds')"
DELETIONS = "SELECT after_hours_must_go(ARRAY['r2', 'uploads'], ARRAY['photo', 'original'], interval '30 seconds')"
SESSION = """
    INSERT INTO after_hours_sessions (user_id, started_at, expires_at)
    VALUES ('local-entitled', now(), now() + interval '30 minutes') RETURNING id::text
"""
FAILED = "UPDATE after_hours_domain_events SET attempts = 3, due_at = '2030-01-01Z' RETURNING id::text"
WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_work_of_each_kind_is_moved_and_an_event_keeps_its_id(host: postgres.Database) -> None:
    upgrade(host.connect, "0022")
    [session] = run(host, SESSION)
    run(host, EVENT)
    run(host, DELETIONS)
    [event] = run(host, FAILED)
    upgrade(host.connect)
    assert run(host, "SELECT kind, key, attempts FROM after_hours_outbox ORDER BY kind") == [
        {"kind": "event", "key": event["id"], "attempts": 3},
        {"kind": "r2", "key": "photo", "attempts": 0},
        {"kind": "schedules", "key": session["id"], "attempts": 0},
        {"kind": "uploads", "key": "original", "attempts": 0},
    ]
    [moved] = run(host, "SELECT payload, due_at FROM after_hours_outbox WHERE kind = 'event'")
    assert (moved["payload"]["type"], moved["payload"]["detail"]) == ("PhotoReady", {"photoId": "1"})
    assert moved["due_at"].year == 2030


def test_what_an_open_transaction_writes_meanwhile_is_moved_too(host: postgres.Database) -> None:
    upgrade(host.connect, "0022")
    with closing(host.connect()) as open_one, open_one.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        for statement in (SESSION, EVENT, DELETIONS):
            cursor.execute(statement)
        migration = pool.submit(upgrade, host.connect)
        until(lambda: bool(run(host, WAITING)) or migration.done())
        open_one.commit()
        migration.result()
    moved = run(host, "SELECT kind FROM after_hours_outbox ORDER BY kind")
    assert [each["kind"] for each in moved] == ["event", "r2", "schedules", "uploads"]
