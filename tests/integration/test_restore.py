"""A restore as docs/operations.md describes it: the database goes back to an earlier moment; stores and bus do not."""

from pathlib import Path
from uuid import UUID

import pytest

from tests.support.phone import JPEG, Phone
from tests.support.world import World, keys_of, original_of, schedules_of

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


def keep_this_moment(world: World) -> None:
    world.rows("DROP SCHEMA IF EXISTS moment CASCADE; CREATE SCHEMA moment")
    for (table,) in world.rows(TABLES):
        world.rows(f"CREATE TABLE moment.{table} AS TABLE public.{table}")


def go_back(world: World) -> None:
    """Rows come back as they were: a restore fires no trigger."""
    world.rows("SET session_replication_role = replica")
    for (table,) in world.rows(TABLES):
        world.rows(f"DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE moment.{table}")
    world.rows("RESET session_replication_role; DROP SCHEMA moment CASCADE")


def run(world: World, file: str, *lines: str) -> None:
    statement = Path("tools/ops/restore", file).read_text().replace("%", "%%").replace(":lines", "%s")
    world.rows(statement, "\n".join(lines))


def show_photo(phone: Phone, world: World) -> UUID:
    photo = phone.send()
    assert world.announce(original_of(photo, phone.id), len(JPEG)) == "ready"
    return photo


@pytest.mark.usefixtures("empty_stores")
def test_a_restore_loses_no_more_than_it_must(world: World) -> None:
    stays, leaves = Phone("entitled"), Phone("other")
    for each in (stays, leaves):
        each.create_profile()
    show_photo(leaves, world)
    live = stays.start(duration=15)
    keep_this_moment(world)

    stays.end()
    lost = stays.start()
    lost_photo = show_photo(stays, world)
    leaves.leave()
    world.pass_time(minutes=31)
    world.sweep()
    assert world.photos() == keys_of(lost_photo)

    go_back(world)
    run(world, "who_left.sql", leaves.id)
    run(world, "orphans.sql", *world.photos())
    world.pass_time(minutes=31)
    did = world.sweep()

    assert (did["expired"], did["eventsPublished"]) == (1, 1)
    assert stays.session() is None
    assert world.rows("SELECT id::text, fuzzed_latitude FROM after_hours_sessions") == [(str(live.id), None)]
    assert [world.fire(kind, lost.id) for kind in ("warning", "expiry")] == ["ignored", "ignored"]
    assert world.photos() == set()
    assert world.counts("after_hours_profiles", "after_hours_outbox") == [1, 0]
    assert schedules_of(stays.start()).items() <= world.schedules().items()
