"""The faults by name. Each is a function that injects its fault into real processes, for a while."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from random import Random

import psycopg2

from tools.soak.phones import World, begin_with_a_photo
from tools.soak.proxy import Ailment, Service

_LEAPS = (1, 4, 9, 16, 25)  # minutes
_CROWD = 1000
_UNSCHEDULED = 300  # more than a sweep can schedule in its time while the scheduler is slow

# The client's port of the function that sent the last statement.
_CALLER = """
    SELECT client_port FROM pg_stat_activity WHERE application_name = 'after-hours' ORDER BY query_start DESC LIMIT 1
"""

type Fault = Callable[[World, Random], None]


def kill_postgres(world: World, random: Random) -> None:
    world.system.signal_postgres(signal.SIGKILL)
    time.sleep(random.uniform(0.5, 4))
    world.system.restart_postgres()


def freeze_postgres(world: World, random: Random) -> None:
    world.system.signal_postgres(signal.SIGSTOP)
    try:
        time.sleep(random.uniform(1, 9))  # functions give up, and answer their members, after six seconds
    finally:
        world.system.signal_postgres(signal.SIGCONT)


def cut_connections(world: World, random: Random) -> None:
    for _ in range(random.randint(1, 4)):
        world.system.database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'after-hours'"
        )
        time.sleep(random.uniform(0.2, 1))


def kill_workers(world: World, random: Random) -> None:
    """Kill workers in the middle of a call: the one that is most likely at work, or any."""
    for _ in range(random.randint(2, 6)):
        callers = world.system.database.run(_CALLER) if random.random() < 0.7 else []  # noqa: PLR2004
        if not any(world.system.kill_worker_at(port) for (port,) in callers):
            world.system.kill_worker(random)
        time.sleep(random.uniform(0.2, 1.5))


def ail(service: Service, world: World, random: Random, ailments: tuple[Ailment, ...] = tuple(Ailment)) -> None:
    with world.system.proxy.ailing(service, random.choice(ailments)):
        time.sleep(random.uniform(3, 10))


def photo_makers_die(world: World, random: Random) -> None:
    """Some members send photos at the same time, and functions are killed as soon as R2 has stored an object."""
    with world.system.proxy.ailing(Service.R2, Ailment.CALLERS_KILLED):
        for _ in range(6):
            world.act(random, begin_with_a_photo)
        time.sleep(random.uniform(8, 12))


def sweeps_meet(world: World, random: Random) -> None:
    """Three sweeps at once, as when one is late and ops start one by hand."""
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(world.system.sweep)
            time.sleep(random.uniform(0, 0.5))


def earlier_release(world: World, random: Random) -> None:
    """An earlier release still serves: it starts sessions without a lock, with exact places and without an event."""
    members = world.system.database.run("SELECT user_id FROM after_hours_profiles WHERE user_id NOT LIKE '%crowd%'")
    for (member,) in random.sample(members, min(8, len(members))):
        # No session for a member who is live, or has deleted the account; that release's answer does not matter here.
        with suppress(psycopg2.IntegrityError):
            world.system.database.run(
                """
                SET LOCAL session_replication_role = replica;  -- unseen by the audit
                INSERT INTO after_hours_sessions
                    (user_id, expires_at, latitude, longitude, fuzzed_latitude, fuzzed_longitude)
                SELECT id, now() + interval '15 minutes', -41.5, -71.5, -41.501, -71.499 FROM users WHERE id = %s
                FOR KEY SHARE  -- as checking the reference would, which is a trigger
                """,
                (member,),
            )


def events_early(world: World, random: Random) -> None:
    """Events of schedules come long before their time."""
    ids = world.system.database.run("SELECT id::text FROM after_hours_sessions WHERE ended_at IS NULL")
    for (session_id,) in random.sample(ids, min(6, len(ids))):
        kind = random.choice(("expiry", "warning"))
        world.system.invoke("expire_session", {"kind": kind, "sessionId": session_id})


def crowd_is_due(world: World, random: Random) -> None:
    """A thousand sessions end in one second, nearly all of their schedules are lost, and three sweeps run at once."""
    crowd = _crowd(world, _CROWD, timedelta(seconds=4), scheduled=True)
    time.sleep(5)
    ids = world.system.database.run("SELECT id::text FROM after_hours_sessions WHERE user_id = ANY(%s)", (crowd,))
    with ThreadPoolExecutor(3) as pool:
        for (session_id,) in random.sample(ids, min(20, len(ids))):
            pool.submit(world.system.invoke, "expire_session", {"kind": "expiry", "sessionId": session_id})
    with world.system.proxy.ailing(Service.BUS, Ailment.SLOW):
        sweeps_meet(world, random)  # there are a thousand events to publish


def crowd_has_no_schedules(world: World, random: Random) -> None:
    """The scheduler was down while many went live, and is slow when it comes back."""
    with world.system.proxy.ailing(Service.SCHEDULER, Ailment.SLOW):
        _crowd(world, _UNSCHEDULED, timedelta(minutes=50), scheduled=False)
        for _ in range(2):
            world.system.sweep()
            time.sleep(random.uniform(0, 1))


def schedules_vanish(world: World, random: Random) -> None:
    """The group of the schedules is deleted and made again, as on a new local AWS. Between the two it accepts none."""
    client, group = world.system.clients["scheduler"], world.system.stack.schedule_group
    client.delete_schedule_group(Name=group)
    time.sleep(random.uniform(0, 1))
    client.create_schedule_group(Name=group)


def refuse_for_an_hour(service: Service, world: World, random: Random) -> None:
    """Work that needs the service fails again and again, until its backoff has reached its maximum."""
    with world.system.proxy.ailing(service, Ailment.FAILING):
        time.sleep(5)  # until a call fails
        for _ in range(6):
            world.leaps.leap(timedelta(minutes=10), random)
            world.system.sweep()


def _crowd(world: World, number: int, lasting: timedelta, *, scheduled: bool) -> list[str]:
    """Put so many members with a live session into the database, without firing triggers. Return their ids."""
    crowd = world.join("crowd", number)
    world.system.database.run(
        """
        SET LOCAL session_replication_role = replica;
        INSERT INTO after_hours_profiles (user_id) SELECT id FROM unnest(%(crowd)s) AS id ON CONFLICT DO NOTHING;
        INSERT INTO after_hours_sessions (
            user_id, started_at, expires_at, fuzzed_latitude, fuzzed_longitude, warned_for
        )
        SELECT id, now() - interval '15 minutes', ends_at, -41.5, -71.5, ends_at
        FROM unnest(%(crowd)s) AS id, (SELECT date_trunc('second', now()) + %(lasting)s AS ends_at) AS at
        ON CONFLICT DO NOTHING;
        INSERT INTO after_hours_outbox (kind, key, payload, due_at)
        SELECT 'schedules', id, jsonb_build_object('expiresAt', after_hours_utc(expires_at), 'new', true), now()
        FROM after_hours_sessions WHERE user_id = ANY(%(crowd)s) AND NOT %(scheduled)s
        ON CONFLICT DO NOTHING
        """,
        {"crowd": crowd, "lasting": lasting, "scheduled": scheduled},
    )
    return crowd


FAULTS: dict[str, Fault] = {
    "PostgreSQL killed and restarted": kill_postgres,
    "PostgreSQL frozen": freeze_postgres,
    "connections cut": cut_connections,
    "workers killed": kill_workers,
    **{f"{service} ailing": partial(ail, service) for service in Service},
    "R2 slow": partial(ail, Service.R2, ailments=(Ailment.SLOW,)),
    "makers of photos killed": photo_makers_die,
    "time leaps": lambda world, random: world.leaps.leap(timedelta(minutes=random.choice(_LEAPS)), random),
    "events early": events_early,
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
