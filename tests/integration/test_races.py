"""Races: of our changes with the deletion of the account in the main app, and of photos with each other.

Each pair of a change and the deletion is forced into the orders in which its locks can be taken: one of the two stops
before a row that it writes, the other goes on until it is done or waits for a lock, and then both go on.
"""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from functools import cache, partial
from typing import NamedTuple
from uuid import UUID

import psycopg2
import pytest
from after_hours.entrypoints.errors import ApiError, PhotoNotFound, ProfileNotFound
from after_hours.foundation import storage
from after_hours.foundation.database import Database
from after_hours.foundation.faults import StorageUnavailable
from after_hours.foundation.storage import Store
from after_hours.images import isolation
from after_hours.images.rejection import Reason
from after_hours.members import leaving, photos, preferences, profiles, sessions, uploads
from after_hours.outbox import domain_events, relay, schedules
from after_hours.outbox.relay import Kind
from after_hours.sweep import retention, safety_net

from tests.support.memory import Memory
from tests.support.phone import START
from tests.support.waiting import LIMIT_SECONDS
from tests.support.world import World, keys_of, original_of
from tools.local import postgres

pytestmark = pytest.mark.slow

type Action = Callable[[Database], object]

ID = "local-entitled"
SESSION, UPLOAD, SHOWN = (UUID(int=number) for number in (1, 2, 3))
TABLES = (
    "after_hours_profiles", "after_hours_preferences", "after_hours_sessions", "device_fingerprints",
    "after_hours_photo_uploads", "after_hours_declines", "after_hours_outbox", "after_hours_departures",
)  # fmt: skip
FUNCTIONS, MAIN_APP = "after-hours", "main-app"  # names of connections

# Our statements must not rely on the order in which PostgreSQL deletes what goes with an account: it is that of the
# constraints' names, which hold the numbers by which the constraints were made.
MADE_ANEW = """
    ALTER TABLE {0} DROP CONSTRAINT {0}_user_id_fkey, ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
"""
MADE_LAST = {
    "profiles first": ("after_hours_sessions", "device_fingerprints", "after_hours_photo_uploads"),
    "profiles last": ("after_hours_preferences", "after_hours_sessions", "after_hours_profiles"),
}
# The connection that is to stop waits for an advisory lock that the test holds.
PAUSES = """
    CREATE TABLE after_hours_declines (
        session_id UUID REFERENCES after_hours_sessions ON DELETE CASCADE,
        user_id VARCHAR(255) REFERENCES users ON DELETE CASCADE
    );
    CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('application_name') = TG_ARGV[0] THEN
            PERFORM pg_advisory_xact_lock_shared(4711);
        END IF;
        RETURN coalesce(NEW, OLD);
    END $$;
"""
STOP = """
    CREATE TRIGGER pause BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION pause('{stops}');
    SELECT pg_advisory_lock(4711)
"""
FLUSH = "SELECT pg_stat_force_next_flush()"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = %s"

EVENTS = "SELECT payload ->> 'type', payload -> 'detail' FROM after_hours_outbox WHERE kind = 'event'"
# With these a member gets 5xx, or an event is repeated.
FAULTS = ("InternalError", "ServiceUnavailable", "DatabaseUnavailable", "OutcomeUnknown")

# States before a change.
PHOTO = f"after-hours-photos/{ID}/{SHOWN}.jpg"
PROFILE = "INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled'), ('local-other')"
PREFERENCES = "INSERT INTO after_hours_preferences (user_id) VALUES ('local-entitled')"
LIVE = """
    INSERT INTO after_hours_sessions (id, user_id, started_at, expires_at, fuzzed_latitude, fuzzed_longitude)
    VALUES (%(session)s, 'local-entitled', now(), now() + interval '30 minutes', 1, 1),
        (gen_random_uuid(), 'local-other', now(), now() + interval '30 minutes', 1, 1);
    INSERT INTO device_fingerprints (id, user_id, session_id, created_at)
    SELECT gen_random_uuid(), user_id, id, now() - interval '200 days' FROM after_hours_sessions, generate_series(1, 3);
    INSERT INTO after_hours_declines SELECT id, user_id FROM after_hours_sessions
"""
UPLOADS = """
    INSERT INTO after_hours_photo_uploads (user_id, requested_at, forget_at)
    SELECT 'local-entitled', now() - interval '2 days', now() - interval '1 day' FROM generate_series(1, 3);
    INSERT INTO after_hours_photo_uploads (id, user_id, status, requested_at)
    VALUES (%(shown)s, 'local-entitled', 'ready', now() - interval '3 hours');
    INSERT INTO after_hours_photo_uploads (id, user_id) VALUES (%(upload)s, 'local-entitled');
    UPDATE after_hours_profiles SET photo_url = %(photo)s, photo_number = 0 WHERE user_id = 'local-entitled'
"""
EVERYTHING = (PROFILE, PREFERENCES, LIVE, UPLOADS)
OVERDUE = "UPDATE after_hours_sessions SET expires_at = now() - interval '1 second'"
ENDING = "UPDATE after_hours_sessions SET expires_at = now() + interval '4 minutes'"
LAPSED = "UPDATE users SET after_hours_consent = false"
PLACED = "UPDATE after_hours_sessions SET latitude = 1, longitude = 1"
UNSCHEDULED = "UPDATE after_hours_outbox SET due_at = now() WHERE kind = 'schedules'"
OLD = """
    UPDATE after_hours_sessions SET
        ended_at = now() - interval '91 days', started_at = now() - interval '92 days', expires_at = now(),
        fuzzed_latitude = NULL, fuzzed_longitude = NULL
"""
STALE = "UPDATE after_hours_photo_uploads SET changed_at = now() - interval '1 hour'"
DEPARTED = """
    DELETE FROM after_hours_profiles;
    INSERT INTO after_hours_departures VALUES ('local-entitled', now()), ('local-other', now())
    ON CONFLICT (user_id) DO UPDATE SET forget_at = now()
"""
UNWANTED = "SELECT after_hours_put_deletions(ARRAY['r2', 'r2'], ARRAY[%(photo)s, %(photo)s || 'x'], interval '0')"


class Change(NamedTuple):
    """A change of ours; `given` is what there is before it, beside the accounts."""

    given: tuple[str, ...]
    make: Action


def duty(do: Callable[[Database, float], int]) -> Action:
    return lambda database: do(database, time.monotonic() + LIMIT_SECONDS)


def reject(database: Database) -> None:
    upload = uploads.Upload(ID, str(UPLOAD))
    database.fetch_one(uploads._CLAIM, upload.parameters())
    uploads._settle(database, uploads._REJECT, upload.parameters(user_id=ID, reason=Reason.CORRUPT))


NEW_SESSION = sessions.StartSession.model_validate(START)
LONGER = sessions.ExtendSession.model_validate({"additionalMinutes": 15})
NEW_TEXT = profiles.UpdateProfile.model_validate({"description": "x"})
NEW_AGE = preferences.UpdatePreferences.model_validate({"minAge": 20})
CHANGES = {
    "create profile": Change((LIVE,), lambda on: profiles.create(on, ID, profiles.CreateProfile())),
    "update profile": Change(EVERYTHING, lambda on: profiles.update(on, ID, NEW_TEXT)),
    "create preferences": Change((LIVE,), lambda on: preferences.create(on, ID, preferences.CreatePreferences())),
    "update preferences": Change(EVERYTHING, lambda on: preferences.update(on, ID, NEW_AGE)),
    "start": Change((PROFILE,), lambda on: sessions.start(on, ID, NEW_SESSION)),
    "start anew": Change((PROFILE, LIVE, OVERDUE), lambda on: sessions.start(on, ID, NEW_SESSION)),
    "extend": Change(EVERYTHING, lambda on: sessions.extend(on, ID, LONGER)),
    "end": Change(EVERYTHING, lambda on: sessions.end(on, ID)),
    "leave": Change(EVERYTHING, lambda on: leaving.leave(on, ID)),
    "request an upload": Change((PROFILE, UPLOADS), lambda on: uploads.request(on, ID)),
    "make a photo": Change((PROFILE, UPLOADS), lambda on: uploads.process(on, original_of(UPLOAD), 10)),
    "reject a photo": Change((PROFILE, UPLOADS), reject),
    "delete the photo": Change(EVERYTHING, lambda on: photos.delete(on, ID)),
    "expire": Change((PROFILE, LIVE, OVERDUE), lambda on: sessions.expire(on, SESSION)),
    "warn": Change((PROFILE, LIVE, ENDING), lambda on: sessions.warn(on, SESSION)),
    "expired": Change((PROFILE, LIVE, OVERDUE), duty(safety_net.expire_overdue)),
    "lapsed": Change((PROFILE, LIVE, LAPSED), duty(safety_net.end_lapsed)),
    "warned": Change((PROFILE, LIVE, ENDING), duty(safety_net.warn_due)),
    "placesErased": Change((PROFILE, LIVE, PLACED), duty(safety_net.erase_places)),
    "uploadsFailed": Change((PROFILE, UPLOADS, STALE), duty(uploads.fail_stuck)),
    "uploadsForgotten": Change((PROFILE, UPLOADS), duty(retention.forget_uploads)),
    "departedForgotten": Change((PROFILE, LIVE, OLD, UPLOADS, DEPARTED), duty(retention.forget_departed)),
    "sessionsForgotten": Change((PROFILE, LIVE, OLD), duty(retention.forget_sessions)),
    "schedulesRepaired": Change((PROFILE, LIVE, UNSCHEDULED), duty(partial(relay.do_due, kind=Kind.SCHEDULES))),
    "photosDeleted": Change((PROFILE, UPLOADS, UNWANTED), duty(partial(relay.do_due, kind=Kind.R2))),
}
# How many of 25 that are made at once succeed. One upload was asked for before. Half an hour may become six hours.
AT_ONCE = {
    "create profile": 1, "create preferences": 1, "start": 1, "start anew": 1, "extend": 22, "end": 1,
    "request an upload": 9,
}  # fmt: skip
NEED_AN_ACCOUNT = ("create profile", "create preferences", "start", "start anew", "request an upload")


class Race:
    """The deletion of an account and changes of ours, each on a connection of its own."""

    def __init__(self, world: World, owner: postgres.Database, stores: dict[Store, Memory]) -> None:
        self.world, self.owner, self.stores = world, owner, stores
        self._open: set[str] = set()

    def begin(self, *given: str) -> None:
        self.world.begin_anew()
        for statement in given:
            self.world.rows(statement, session=str(SESSION), upload=str(UPLOAD), shown=str(SHOWN), photo=PHOTO)
        has_photo = UPLOADS in given
        self.stores[Store.UPLOADS].objects = {original_of(UPLOAD): b"original"} if has_photo else {}
        self.stores[Store.R2].objects = dict.fromkeys(keys_of(SHOWN), b"photo") if has_photo else {}
        live = "SELECT id::text FROM after_hours_sessions WHERE ended_at IS NULL AND user_id = %s"
        self._open = {id_ for (id_,) in self.world.rows(live, ID)}

    def run(self, change: Change, stops: str, table: str) -> tuple[str, str, bool]:
        """Let one of the two stop at the table until the other is done or waits.

        Returns the outcomes of the change and of the deletion, and whether the one has stopped.
        """
        self.begin(*change.given)
        runs: list[tuple[str, Callable[[], str]]] = [(FUNCTIONS, partial(self.change, change)), (MAIN_APP, self.delete)]
        (_, first), (other, second) = runs if stops == FUNCTIONS else reversed(runs)
        self.world.rows(STOP.format(table=table, stops=stops))
        try:
            with ThreadPoolExecutor(2) as pool:
                begun = pool.submit(first)
                try:
                    stopped = self._done_or_waiting(begun, stops)
                    following = pool.submit(second)
                    self._done_or_waiting(following, other)
                finally:
                    self.world.rows("SELECT pg_advisory_unlock(4711)")
                outcomes = {stops: begun.result(), other: following.result()}
        finally:
            self.world.rows(f"DROP TRIGGER pause ON {table}")
        return outcomes[FUNCTIONS], outcomes[MAIN_APP], stopped

    def written_by(self, change: Change, stops: str) -> list[str]:
        """Return the tables that the change, or the deletion, writes to. It would not stop at others."""
        self.begin(*change.given)
        self.world.rows("SELECT pg_stat_reset()")
        self.change(change) if stops == FUNCTIONS else self.delete()
        written = "SELECT relname FROM pg_stat_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0"
        return sorted({table for (table,) in self.world.rows(written)} & set(TABLES))

    def _done_or_waiting(self, future: Future[str], connection: str) -> bool:
        """Wait until the call is done or waits for a lock. Returns whether it waits."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while not future.done():
            if self.world.rows(WAITING, connection) != [(0,)]:
                return True
            assert time.monotonic() < deadline
            time.sleep(0.002)
        return False

    def change(self, change: Change) -> str:
        with self.world.connection() as database:
            try:
                change.make(database)
            except (ApiError, uploads.UploadInProgress) as error:
                return f"{type(error).__name__}: {error}"
            finally:
                database.execute(FLUSH)
        return "done"

    def delete(self) -> str:
        with closing(self.owner.connect()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"SET application_name = '{MAIN_APP}'")
            try:
                cursor.execute("DELETE FROM users WHERE id = %s", (ID,))
                cursor.execute(FLUSH)
            except psycopg2.Error as error:
                return f"{type(error).__name__} {error.pgcode}"
        return "done"

    def wrong(self) -> list[str]:
        """Return tables and objects that the deletion has left, and sessions whose end is not published."""
        found = [table for table in TABLES[:6] if self.world.rows(f"SELECT FROM {table} WHERE user_id = %s", ID)]
        recorded = set(self.world.rows("SELECT kind, key FROM after_hours_outbox"))
        awaited = {original_of(UPLOAD)}  # S3's event is still to come
        for store, bucket in self.stores.items():
            found += [key for key in bucket.objects.keys() - awaited if (store.value, key) not in recorded]
        events = self.world.rows(EVENTS)
        started = {detail["sessionId"] for type_, detail in events if type_ == "SessionStarted"}
        ended = {detail["sessionId"] for type_, detail in events if type_ == "SessionEnded"}
        return found + [f"the end of {id_}" for id_ in (self._open | started) - ended]


@pytest.fixture(scope="module", params=MADE_LAST)
def owner(request: pytest.FixtureRequest, migrated: postgres.Database) -> Iterator[postgres.Database]:
    with closing(migrated.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"ALTER DATABASE \"{migrated.dbname}\" SET deadlock_timeout = '50ms'")
        cursor.execute("".join(map(MADE_ANEW.format, MADE_LAST[request.param])) + PAUSES)
        yield migrated
        cursor.execute("DROP TABLE after_hours_declines; DROP FUNCTION pause CASCADE")
        cursor.execute(f'ALTER DATABASE "{migrated.dbname}" RESET deadlock_timeout')


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[Store, Memory]:
    buckets = {store: Memory() for store in Store}
    monkeypatch.setattr(storage, "bucket", cache(buckets.__getitem__))
    made = isolation.Processed(b"photo", b"thumbnail", "0" * 16, ("0" * 16,))
    monkeypatch.setattr(isolation, "process", lambda _: made)
    monkeypatch.setattr(domain_events, "_put", lambda _: [])
    return buckets


@pytest.fixture
def race(owner: postgres.Database, world: World, stores: dict[Store, Memory], monkeypatch: pytest.MonkeyPatch) -> Race:
    """The bus refuses each event, which so stays in the outbox."""
    monkeypatch.setattr(domain_events, "_put", lambda events: [event["key"] for event in events])
    monkeypatch.setattr(schedules, "carry_out", lambda _: ())
    return Race(world, owner, stores)


@pytest.mark.parametrize("stops", [FUNCTIONS, MAIN_APP])
@pytest.mark.parametrize("name", CHANGES)
def test_an_account_can_be_deleted_during_any_change(race: Race, name: str, stops: str) -> None:
    found, stopped = [], 0
    for table in race.written_by(CHANGES[name], stops):
        change, deletion, has_stopped = race.run(CHANGES[name], stops, table)
        stopped += has_stopped
        if change.startswith(FAULTS) or deletion != "done" or race.wrong():
            found.append((table, change, deletion, race.wrong()))
        if stops == MAIN_APP and has_stopped and name in NEED_AN_ACCOUNT:
            assert change.startswith("PremiumRequired")  # as the access check answers for an account that is gone
    assert not found, "\n".join(map(str, found))
    assert stopped


@pytest.mark.parametrize("name", AT_ONCE)
def test_of_25_phones_at_once_so_many_succeed(race: Race, name: str) -> None:
    race.begin(*CHANGES[name].given)
    with ThreadPoolExecutor(25) as pool:
        outcomes = list(pool.map(race.change, [CHANGES[name]] * 25))
    assert outcomes.count("done") == AT_ONCE[name]
    assert not [outcome for outcome in outcomes if outcome.startswith(FAULTS)]
    if name == "extend":
        added = "SELECT expires_at - started_at FROM after_hours_sessions WHERE user_id = %s"
        assert race.world.rows(added, ID) == [(timedelta(hours=6),)]


def test_all_of_it_at_once(race: Race) -> None:
    race.begin(*EVERYTHING, UNWANTED)
    outcomes: list[str] = []

    def after_a_moment(run: Callable[[], str]) -> None:
        time.sleep(random.random() / 2)
        outcomes.append(run())

    random.seed(18)
    runs = [partial(race.change, change) for change in CHANGES.values()] * 4 + [race.delete] * 6
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(after_a_moment, random.sample(runs, len(runs))))
    assert len(outcomes) == len(runs)
    assert not [outcome for outcome in outcomes if outcome.startswith(FAULTS) or "Deadlock" in outcome]
    assert race.wrong() == []


def sweep_photos(database: Database) -> None:
    for store in Store:
        relay.do_due(database, time.monotonic() + LIMIT_SECONDS, kind=Kind(store.value))


def test_after_any_race_the_photo_that_is_shown_exists_and_no_other(world: World, stores: dict[Store, Memory]) -> None:
    endings: list[Action] = [CHANGES["delete the photo"].make, CHANGES["leave"].make, sweep_photos]
    originals, made = stores[Store.UPLOADS], stores[Store.R2]

    def after_a_moment(action: Action, database: Database) -> None:
        time.sleep(random.random() * 0.01)
        with suppress(uploads.UploadInProgress, PhotoNotFound, ProfileNotFound, StorageUnavailable):
            action(database)

    random.seed(20)
    for _ in range(60):
        world.rows("INSERT INTO after_hours_profiles (user_id) VALUES (%s) ON CONFLICT DO NOTHING", ID)
        ask = "INSERT INTO after_hours_photo_uploads (user_id) SELECT %s FROM generate_series(1, %s) RETURNING id"
        ids = [UUID(id_) for (id_,) in world.rows(ask, ID, random.choice([1, 2, 3]))]
        originals.objects = {original_of(id_): b"original" for id_ in ids}
        events: list[Action] = [partial(uploads.process, original_key=key, size=10) for key in originals.objects]
        chosen = random.sample(endings, random.choice([0, 1, 2, 3]))
        originals.faults = made.faults = random.choice([0, 0.1])
        actions = random.sample([*events * 2, *chosen], len(events) * 2 + len(chosen))
        world.at_once(*(partial(after_a_moment, action) for action in actions))

        # Events that failed come back, and the sweep comes by when the deletions that a claim recorded are due.
        originals.faults = made.faults = 0
        for event in events:
            world.at_once(event)
        world.pass_time(minutes=16)
        world.at_once(sweep_photos)
        shown = {key for (key,) in world.rows("SELECT photo_url FROM after_hours_profiles WHERE photo_url <> ''")}
        assert made.objects.keys() == shown | {key.replace(".jpg", "_thumb.jpg") for key in shown}
        assert originals.objects == {}
        assert world.counts("after_hours_outbox") == [0]
        if not chosen:
            assert shown < keys_of(ids[-1])
