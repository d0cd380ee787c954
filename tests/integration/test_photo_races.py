"""Events, deletions, leaving and sweeps of a member's photos at once: only the objects of the shown photo remain."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from after_hours.entrypoints.errors import PhotoNotFound, ProfileNotFound
from after_hours.foundation import storage
from after_hours.foundation.database import Database
from after_hours.foundation.faults import StorageUnavailable
from after_hours.foundation.storage import Store
from after_hours.images import isolation
from after_hours.members import leaving, photos, uploads
from after_hours.outbox import domain_events, relay

from tests.support.memory import Memory
from tests.support.world import World

type Action = Callable[[Database], object]

ID = "local-entitled"
ROUNDS = 60


@pytest.fixture(params=[0.0, 0.1], ids=["well", "with faults"])
def stores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[Store, Memory]:
    buckets = {store: Memory(request.param) for store in Store}
    monkeypatch.setattr(storage, "bucket", cache(buckets.__getitem__))
    monkeypatch.setattr(domain_events, "_put", lambda _: [])
    made = isolation.Processed(b"photo", b"thumbnail", "0" * 16, ("0" * 16,))
    monkeypatch.setattr(isolation, "process", lambda _: made)
    return buckets


def asked(world: World, stores: dict[Store, Memory]) -> str:
    """The key of an upload that was asked for and sent."""
    [(photo_id,)] = world.rows("INSERT INTO after_hours_photo_uploads (user_id) VALUES (%s) RETURNING id::text", ID)
    key = f"uploads/{ID}/{photo_id}"
    stores[Store.UPLOADS].objects[key] = b"original"
    return key


def delivered(key: str) -> Action:
    return lambda database: uploads.process(database, key, 10)


def sweep_deletions(database: Database) -> None:
    for store in Store:
        relay.do_due(database, time.monotonic() + 5, kind=relay.Kind(store.value))


def all_at_once(world: World, actions: list[Action]) -> None:
    def after_a_moment(action: Action) -> Action:
        def run(database: Database) -> None:
            time.sleep(random.random() * 0.01)
            with suppress(uploads.UploadInProgress, PhotoNotFound, ProfileNotFound, StorageUnavailable):
                action(database)

        return run

    world.at_once(*map(after_a_moment, actions))


def lacking_or_left(world: World, stores: dict[Store, Memory]) -> set[str]:
    shown = world.rows("SELECT photo_url FROM after_hours_profiles WHERE photo_url <> ''")
    wanted = {key for (photo,) in shown for key in (photo, photo.replace(".jpg", "_thumb.jpg"))}
    return wanted ^ stores[Store.R2].objects.keys() | stores[Store.UPLOADS].objects.keys()


@pytest.mark.slow
def test_after_any_race_what_is_shown_exists_and_nothing_else_does(
    world: World, connection: Database, stores: dict[Store, Memory]
) -> None:
    random.seed(20)
    for _ in range(ROUNDS):
        world.rows("INSERT INTO after_hours_profiles (user_id) VALUES (%s) ON CONFLICT DO NOTHING", ID)
        sent = [asked(world, stores) for _ in range(random.choice([1, 2, 3]))]
        endings: list[Action] = [
            lambda database: photos.delete(database, ID),
            lambda database: leaving.leave(database, ID),
            sweep_deletions,
        ]
        chosen = random.sample(endings, random.choice([0, 1, 2, 3]))
        actions = [delivered(key) for key in sent * 2] + chosen
        all_at_once(world, random.sample(actions, len(actions)))

        # What was busy or failed is delivered again, and the sweep comes by when what a claim recorded is due.
        rates, stores[Store.R2].faults, stores[Store.UPLOADS].faults = stores[Store.R2].faults, 0, 0
        for key in sent:
            uploads.process(connection, key, 10)
        world.rows(
            "UPDATE after_hours_outbox SET due_at = now() - interval '1 second'"
            " WHERE due_at < now() + interval '16 minutes'"
        )
        sweep_deletions(connection)
        assert lacking_or_left(world, stores) == set()
        if not chosen:
            [(shown,)] = world.rows("SELECT photo_url FROM after_hours_profiles")
            assert shown.endswith(f"{sent[-1].rpartition('/')[2]}.jpg")
        assert world.counts("after_hours_outbox") == [0]
        stores[Store.R2].faults = stores[Store.UPLOADS].faults = rates
