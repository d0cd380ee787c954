"""The faults by name. Each is a function that injects its fault into real processes, for a while."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from random import Random
from typing import NamedTuple

import psycopg2

from tools.soak.leaps import Leaps
from tools.soak.phones import World, send_good_photo
from tools.soak.proxy import Ailment, Service
from tools.soak.system import System

_CROWD = 1000
_UNSCHEDULED = 300  # more than a sweep can schedule in its time while the scheduler is slow


class Scene(NamedTuple):
    """The targets of a fault."""

    system: System
    leaps: Leaps
    world: World


type Fault = Callable[[Scene, Random], None]


def kill_postgres(scene: Scene, random: Random) -> None:
    scene.system.server.kill()
    time.sleep(random.uniform(0.5, 4))
    scene.system.server.restart()


def freeze_postgres(scene: Scene, random: Random) -> None:
    scene.system.server.freeze()
    try:
        time.sleep(random.uniform(1, 9))  # functions give up, and answer their members, after six seconds
    finally:
        scene.system.server.thaw()


def cut_connections(scene: Scene, random: Random) -> None:
    for _ in range(random.randint(1, 4)):
        scene.system.server.cut_connections()
        time.sleep(random.uniform(0.2, 1))


def kill_workers(scene: Scene, random: Random) -> None:
    """Kill workers in the middle of a call: the one that sent the last statement, or any."""
    for _ in range(random.randint(2, 6)):
        port = scene.system.server.latest_caller() if random.random() < 0.7 else None  # noqa: PLR2004
        if port is None or not scene.system.workers.kill_at_port(port):
            scene.system.workers.kill_any(random)
        time.sleep(random.uniform(0.2, 1.5))


def ail(service: Service, scene: Scene, random: Random, ailments: tuple[Ailment, ...] = tuple(Ailment)) -> None:
    with scene.system.proxy.ailing(service, random.choice(ailments)):
        time.sleep(random.uniform(3, 10))


def photo_makers_die(scene: Scene, random: Random) -> None:
    """Some members send photos at the same time, and functions are killed as soon as R2 has stored an object."""
    with scene.system.proxy.ailing(Service.R2, Ailment.CALLERS_KILLED):
        for _ in range(6):
            scene.world.act(random, send_good_photo)
        time.sleep(random.uniform(8, 12))


def time_leaps(scene: Scene, random: Random) -> None:
    scene.leaps.leap(timedelta(minutes=random.choice((1, 4, 9, 16, 25))), random)


def events_come_early(scene: Scene, random: Random) -> None:
    scene.leaps.deliver_early(random)


def sweeps_meet(scene: Scene, random: Random) -> None:
    """Three sweeps at once, as when one is late and ops start one by hand."""
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(scene.system.sweep)
            time.sleep(random.uniform(0, 0.5))


def earlier_release(scene: Scene, random: Random) -> None:
    """An earlier release still serves: it starts sessions without a lock, with exact places and without an event."""
    members = scene.system.database.run("SELECT user_id FROM after_hours_profiles WHERE user_id NOT LIKE '%crowd%'")
    for (member,) in random.sample(members, min(8, len(members))):
        # No session for a member who is live, or has deleted the account; that release's answer does not matter here.
        with suppress(psycopg2.IntegrityError):
            scene.system.database.run(
                """
                SET LOCAL session_replication_role = replica;  -- unseen by the audit
                INSERT INTO after_hours_sessions
                    (user_id, expires_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude)
                SELECT id, now() + interval '15 minutes', -41.5, -71.5, -41.501, -71.499 FROM users WHERE id = %s
                FOR KEY SHARE  -- as checking the reference would, which is a trigger
                """,
                (member,),
            )


def crowd_is_due(scene: Scene, random: Random) -> None:
    """A thousand sessions end in one second, nearly all of their schedules are lost, and three sweeps run at once."""
    name = _crowd(scene, _CROWD, "date_trunc('second', now()) + interval '4 seconds'", scheduled=True)
    time.sleep(5)
    ids = scene.system.database.run(
        "SELECT id::text FROM after_hours_sessions WHERE user_id LIKE %s LIMIT 40", (f"{name}-%",)
    )
    with ThreadPoolExecutor(3) as pool:
        for (session_id,) in random.sample(ids, min(20, len(ids))):
            pool.submit(scene.system.invoke, "expire_session", {"kind": "expiry", "sessionId": session_id})
    with scene.system.proxy.ailing(Service.BUS, Ailment.SLOW):
        sweeps_meet(scene, random)  # there are a thousand events to publish


def crowd_has_no_schedules(scene: Scene, random: Random) -> None:
    """The scheduler was down while many went live, and is slow when it comes back."""
    with scene.system.proxy.ailing(Service.SCHEDULER, Ailment.SLOW):
        _crowd(scene, _UNSCHEDULED, "now() + interval '50 minutes'", scheduled=False)
        for _ in range(2):
            scene.system.sweep()
            time.sleep(random.uniform(0, 1))


def schedules_vanish(scene: Scene, random: Random) -> None:
    """The group of the schedules is deleted and made again, as on a new local AWS. Between the two it accepts none."""
    client, group = scene.system.client("scheduler"), scene.system.stack.schedule_group
    client.delete_schedule_group(Name=group)
    time.sleep(random.uniform(0, 1))
    client.create_schedule_group(Name=group)


def refuse_for_an_hour(service: Service, scene: Scene, random: Random) -> None:
    """Work that needs the service fails again and again, until its backoff has reached its maximum."""
    with scene.system.proxy.ailing(service, Ailment.FAILING):
        time.sleep(5)  # until a call fails
        for _ in range(6):
            scene.leaps.leap(timedelta(minutes=10), random)
            scene.system.sweep()


def _crowd(scene: Scene, number: int, expires_at: str, *, scheduled: bool) -> str:
    """Put so many members with a live session into the database, without firing triggers. Return their ids' prefix."""
    name = f"soak-crowd-{time.monotonic_ns()}"
    scene.system.database.run(
        f"""
        INSERT INTO users (id, provider, id_verified, after_hours_consent)
        SELECT '{name}-' || i, 'google', true, true FROM generate_series(1, {number}) AS i ON CONFLICT DO NOTHING;
        INSERT INTO user_subscriptions (user_id, is_active)
        SELECT '{name}-' || i, true FROM generate_series(1, {number}) AS i;
        SET LOCAL session_replication_role = replica;
        INSERT INTO after_hours_profiles (user_id)
        SELECT '{name}-' || i FROM generate_series(1, {number}) AS i ON CONFLICT DO NOTHING;
        INSERT INTO after_hours_sessions (
            user_id, started_at, expires_at, fuzzed_latitude, fuzzed_longitude, warned_for
        )
        SELECT '{name}-' || i, now() - interval '15 minutes', at.expires_at, -41.5, -71.5, at.expires_at
        FROM generate_series(1, {number}) AS i, (SELECT {expires_at} AS expires_at) AS at
        ON CONFLICT DO NOTHING;
        INSERT INTO after_hours_outbox (kind, key, payload, due_at)
        SELECT 'schedules', id, jsonb_build_object('expiresAt', after_hours_utc(expires_at), 'new', true), now()
        FROM after_hours_sessions WHERE user_id LIKE '{name}-%' AND NOT {scheduled}
        ON CONFLICT DO NOTHING
        """
    )
    return name


FAULTS: dict[str, Fault] = {
    "PostgreSQL killed and restarted": kill_postgres,
    "PostgreSQL frozen": freeze_postgres,
    "connections cut": cut_connections,
    "workers killed": kill_workers,
    **{f"{service} ailing": partial(ail, service) for service in Service},
    "R2 slow": partial(ail, Service.R2, ailments=(Ailment.SLOW,)),
    "makers of photos killed": photo_makers_die,
    "time leaps": time_leaps,
    "events early": events_come_early,
    "sweeps meet": sweeps_meet,
    "earlier release beside": earlier_release,
    "crowd due in one second": crowd_is_due,
    "crowd without schedules": crowd_has_no_schedules,
    "schedules vanish": schedules_vanish,
    **{
        f"{service} refuses for an hour": partial(refuse_for_an_hour, service)
        for service in (Service.SCHEDULER, Service.BUS, Service.R2)
    },
}
