"""A story of calls by more and more members at once: statements, connections, locks and CPU of a call.

Handlers run in threads of this process, each with a connection of its own as each environment of Lambda has, against a
real PostgreSQL. A fake AWS answers at once: the local one would be the bottleneck, and the figures would be its own.
"""

import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from threading import Event, Lock, local
from typing import Any

import psutil
from after_hours import database as functions_database
from after_hours.database import Database
from after_hours.observability import logger
from matplotlib.figure import Figure

from benchmarks import fake_aws, fake_services
from benchmarks.measuring import Json, Progress, database
from local import members, postgres
from local.background import beside
from local.handlers import Context, load
from local.samples import samples

_AT_ONCE = (1, 2, 4, 8, 16, 32, 64)
_AT_ONCE_OF_A_QUICK_RUN = (1, 8, 64)
_EVENINGS = 6  # how often each member plays the story; twelve starts an hour are the limit
_SAMPLE_SECONDS = 0.02
_STORY = (
    "create_profile", "create_preferences", "get_profile", "start_session", "get_session", "get_session",
    "extend_session", "get_session", "update_preferences", "end_session", "get_session", "delete_profile",
)  # fmt: skip

_WAITING = """
    SELECT
        coalesce(array_agg(wait_event) FILTER (WHERE wait_event_type = 'Lock'), '{}'),
        count(*) FILTER (WHERE application_name = 'after-hours')
    FROM pg_stat_activity WHERE datname = current_database()
"""
_JOINED = """
    INSERT INTO users (id, provider, id_verified, after_hours_consent)
    SELECT 'member-' || n, 'google', true, true FROM generate_series(1, %(number)s) n ON CONFLICT DO NOTHING;
    INSERT INTO user_subscriptions (user_id, is_active)
    SELECT id, true FROM users u WHERE NOT EXISTS (SELECT FROM user_subscriptions s WHERE s.user_id = u.id);
    DELETE FROM after_hours_sessions; DELETE FROM after_hours_outbox
"""


class _Watch:
    """Counts the functions' statements, and samples how many connections there are and how many wait for a lock."""

    def __init__(self, server: postgres.Database) -> None:
        self.statements = 0
        self.samples: list[tuple[list[str], int]] = []
        self._server, self._counting = server, Lock()

    @contextmanager
    def watching(self) -> Iterator[None]:
        run = Database._run  # noqa: SLF001

        def counting(database: Database, *arguments: Any) -> Any:  # noqa: ANN401 (as it is)
            with self._counting:
                self.statements += 1
            return run(database, *arguments)

        Database._run = counting  # type: ignore[method-assign,assignment]  # noqa: SLF001
        try:
            with beside(self._look):
                yield
        finally:
            Database._run = run  # type: ignore[method-assign]  # noqa: SLF001

    def _look(self, ending: Event) -> None:
        connection = self._server.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not ending.wait(_SAMPLE_SECONDS):
                cursor.execute(_WAITING)
                self.samples += cursor.fetchall()
        connection.close()


def measure(progress: Progress) -> Json:
    numbers = _AT_ONCE_OF_A_QUICK_RUN if progress.quick else _AT_ONCE
    results: Json = {"calls_of_a_member": _EVENINGS * len(_STORY), "members": {}}
    with database() as server, fake_aws.environment(server) as environment:
        os.environ |= environment
        fake_services.install(fake_services.Scheduler(lambda: None, are_there=False), fake_services.Bus(lambda: None))
        handlers = {function: load(function).handler for function in set(_STORY)}
        for done, number in enumerate((1, *numbers)):  # the first warms up
            with _own_connections():
                figures = _evenings(server, handlers, number)
            if done:
                results["members"][str(number)] = figures
                progress.tell(done, len(numbers), f"{number} at once: {figures}")
    return results


@contextmanager
def _own_connections() -> Iterator[None]:
    """Give each thread a connection of its own, instead of the one that a function shares."""
    shared, own = functions_database.shared, local()
    opened: list[Database] = []

    def of_thread(*_: object) -> Database:
        if not hasattr(own, "database"):
            own.database = shared.__wrapped__()
            opened.append(own.database)
        return own.database  # type: ignore[no-any-return]

    functions_database.shared = of_thread  # type: ignore[assignment]
    try:
        yield
    finally:
        functions_database.shared = shared
        for each in opened:
            each.close()


def _evenings(server: postgres.Database, handlers: dict[str, Callable[..., Json]], number: int) -> Json:
    connection = server.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(_JOINED, {"number": number})
    connection.close()
    watch = _Watch(server)
    warnings.filterwarnings("ignore", "No application metrics")  # threads share the metrics, functions do not
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), ThreadPoolExecutor(number) as pool:
        logger.registered_handler.stream = nowhere  # type: ignore[attr-defined]
        with watch.watching():
            cpu, of_database, began = time.process_time(), _cpu_of(server), time.perf_counter()
            taken = list(pool.map(lambda member: _evening(handlers, member), range(1, number + 1)))
            whole = time.perf_counter() - began
            cpu, of_database = time.process_time() - cpu, _cpu_of(server) - of_database
    calls = sorted(milliseconds for member in taken for milliseconds in member)
    waiting = [len(locks) for locks, _ in watch.samples]
    return {
        "calls_per_second": round(len(calls) / whole),
        "statements_per_call": round(watch.statements / len(calls), 2),
        "cpu_ms_per_call": round(cpu / len(calls) * 1000, 2),
        "database_cpu_ms_per_call": round(of_database / len(calls) * 1000, 2),
        "median_ms": round(statistics.median(calls), 1),
        "p99_ms": round(calls[int(len(calls) * 0.99)], 1),
        "most_connections": max((connections for _, connections in watch.samples), default=0),
        "most_waiting_for_locks": max(waiting, default=0),
        "waiting_for_locks": round(statistics.mean(waiting), 3) if waiting else 0,
        "locks": ", ".join(sorted({lock for locks, _ in watch.samples for lock in locks})) or "none",
    }


def _cpu_of(server: postgres.Database) -> float:
    """Return the seconds of CPU that PostgreSQL has taken, in the processes of connections that are over, too."""
    connection = server.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int")
        [[pid]] = cursor.fetchall()
    connection.close()
    postmaster = psutil.Process(pid)
    taken = 0.0
    for process in (postmaster, *postmaster.children()):
        with suppress(psutil.NoSuchProcess):  # it is over since it was listed, and counts as that
            each = process.cpu_times()
            taken += each.user + each.system
    over = postmaster.cpu_times()
    return taken + over.children_user + over.children_system


def _evening(handlers: dict[str, Callable[..., Json]], member: int) -> list[float]:
    """Play the story some times. Returns the milliseconds of each call."""
    token = members.token(f"member-{member}", fake_aws.JWT_SECRET)
    taken = []
    for _ in range(_EVENINGS):
        for function in _STORY:
            event, context = samples()[function]["valid"].event(token), Context(function)
            began = time.perf_counter()
            answer = handlers[function](event, context)
            taken.append((time.perf_counter() - began) * 1000)
            if answer["statusCode"] >= 300:
                raise RuntimeError(f"{function}: {answer['body']}")
    return taken


def section(results: Json) -> str:
    rows = [f"| {number} | {' | '.join(map(str, each.values()))} |" for number, each in results["members"].items()]
    return _TEXT.format(calls=results["calls_of_a_member"], rows="\n".join(rows))


def plots(results: Json) -> dict[str, Figure]:
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    numbers = [int(number) for number in results["members"]]
    for name, label in (("cpu_ms_per_call", "CPU of a call, ms"), ("median_ms", "median of a call, ms")):
        axes.plot(numbers, [each[name] for each in results["members"].values()], marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="members at once")
    axes.legend(fontsize="small")
    return {"load": figure}


_TEXT = """\
## Many members at once

The story of an evening (join, preferences, start, look, extend, end, leave; {calls} calls of each member) by more and
more members at once, in threads of one process with a connection each, against one PostgreSQL on the same machine. AWS
answers at once. The times grow because all of it shares this machine's processor; statements, connections and locks
would be the same elsewhere. Locks are looked for every 20 ms.

Of each number of members: calls a second; statements a call; CPU of a call and of PostgreSQL for it, in ms; a call's
median and its 99th percentile, in ms; connections, at most; who waits for a lock, at most and on average, and what
locks (`extend`: a table's file grows). docs/cost.md is computed from the last row.

| members | calls/s | statements | CPU | PostgreSQL's | median | 99th | connections | waiting, most | on average | for |
|---|---|---|---|---|---|---|---|---|---|---|
{rows}

![CPU and time of a call](performance/load.svg)
"""
