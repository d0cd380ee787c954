"""Events, deletions, leaving and sweeps of one member's photos at once: what is shown exists, and nothing else."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import Any

import pytest
from after_hours import deletions, domain_events, leaving, photos, storage, uploads
from after_hours.database import Database
from after_hours.errors import ApiError, PhotoNotFound, ProfileNotFound, StorageUnavailable
from after_hours.images import pipeline
from after_hours.storage import Store

from local import postgres
from tests.support.world import own_database

type Rows = Callable[..., list[tuple[Any, ...]]]
type Action = Callable[[Database], object]

ID = "local-entitled"
ROUNDS = 120


class Memory:
    """A bucket whose calls take a moment, and fail now and then."""

    def __init__(self, faults: float) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults = faults
        self._lock = Lock()

    def _take_a_moment(self) -> None:
        time.sleep(random.random() * 0.004)
        if random.random() < self.faults:
            raise StorageUnavailable("now and then")

    def get(self, key: str) -> bytes | None:
        self._take_a_moment()
        with self._lock:
            return self.objects.get(key)

    def put(self, key: str, content: bytes, **_: str) -> None:
        self._take_a_moment()
        with self._lock:
            self.objects[key] = content

    def delete(self, key: str) -> None:
        self._take_a_moment()
        with self._lock:
            self.objects.pop(key, None)


@pytest.fixture(params=[0.0, 0.1], ids=["well", "with faults"])
def stores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[Store, Memory]:
    buckets = {store: Memory(request.param) for store in Store}
    monkeypatch.setattr(storage, "bucket", cache(buckets.__getitem__))
    monkeypatch.setattr(domain_events, "_put", lambda events: [event["id"] for event in events])
    monkeypatch.setattr(pipeline, "process", lambda _: pipeline.Processed(b"photo", b"thumbnail", "0" * 16, "0" * 16))
    return buckets


def asked(rows: Rows, stores: dict[Store, Memory]) -> str:
    """The key of an upload that was asked for and sent."""
    [(photo_id,)] = rows("INSERT INTO after_hours_photo_uploads (user_id) VALUES (%s) RETURNING id::text", ID)
    key = f"uploads/{ID}/{photo_id}"
    stores[Store.UPLOADS].objects[key] = b"original"
    return key


def delivered(key: str) -> Action:
    return lambda database: uploads.process(database, key, 10)


def sweep_deletions(database: Database) -> None:
    for store in Store:
        deletions.carry_out_due(database, time.monotonic() + 5, store=store)


def all_at_once(migrated: postgres.Database, actions: list[Action]) -> None:
    def run(action: Action) -> None:
        database = own_database(migrated)
        time.sleep(random.random() * 0.01)
        with suppress(uploads.UploadInProgress, PhotoNotFound, ProfileNotFound, StorageUnavailable):
            action(database)
        database.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        list(pool.map(run, actions))


def lacking_or_left(rows: Rows, stores: dict[Store, Memory]) -> set[str]:
    shown = rows("SELECT photo_url FROM after_hours_profiles WHERE photo_url <> ''")
    wanted = {key for (photo,) in shown for key in (photo, photo.replace(".jpg", "_thumb.jpg"))}
    return wanted ^ stores[Store.R2].objects.keys() | stores[Store.UPLOADS].objects.keys()


@pytest.mark.usefixtures("people")
def test_after_any_race_what_is_shown_exists_and_nothing_else_does(
    rows: Rows, stores: dict[Store, Memory], migrated: postgres.Database
) -> None:
    random.seed(20)
    member = own_database(migrated)
    for _ in range(ROUNDS):
        rows("INSERT INTO after_hours_profiles (user_id) VALUES (%s) ON CONFLICT DO NOTHING", ID)
        sent = [asked(rows, stores) for _ in range(random.choice([1, 2, 3]))]
        endings: list[Action] = [
            lambda database: photos.delete(database, ID),
            lambda database: leaving.leave(database, ID),
            sweep_deletions,
        ]
        actions = [delivered(key) for key in sent * 2] + random.sample(endings, random.choice([0, 1, 2, 3]))
        all_at_once(migrated, random.sample(actions, len(actions)))

        # What was busy or failed is delivered again, and the sweep comes by, until it is done.
        rates, stores[Store.R2].faults, stores[Store.UPLOADS].faults = stores[Store.R2].faults, 0, 0
        for key in sent:
            uploads.process(member, key, 10)
        rows(
            "UPDATE after_hours_removals SET due_at = now() - interval '1 second'"
            " WHERE due_at < now() + interval '11 minutes'"
        )
        sweep_deletions(member)
        assert lacking_or_left(rows, stores) == set()
        assert rows("SELECT * FROM after_hours_removals") == []
        stores[Store.R2].faults = stores[Store.UPLOADS].faults = rates
    member.close()


@pytest.mark.usefixtures("people")
def test_removing_and_claiming_do_not_block_each_other_for_good(
    rows: Rows, stores: dict[Store, Memory], migrated: postgres.Database
) -> None:
    """Both lock rows of pending removals: in one order, or PostgreSQL would have to end one of them."""
    random.seed(21)
    deadlocks: list[str] = []

    def watched(action: Action) -> Action:
        def run(database: Database) -> None:
            try:
                action(database)
            except (PhotoNotFound, StorageUnavailable):
                return
            except ApiError as error:
                deadlocks.append(str(error))

        return run

    for _ in range(ROUNDS // 2):
        rows("INSERT INTO after_hours_profiles (user_id) VALUES (%s) ON CONFLICT DO NOTHING", ID)
        sent = [asked(rows, stores) for _ in range(2)]
        actions = [watched(delivered(key)) for key in sent * 2]
        actions += [watched(lambda database: photos.delete(database, ID))] * 2 + [watched(sweep_deletions)] * 2
        all_at_once(migrated, actions)
    assert deadlocks == []
