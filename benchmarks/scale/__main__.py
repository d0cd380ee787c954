"""`make bench PART=scale`: what a bad night takes, and what members pay beside a million ended sessions.

python -m benchmarks.scale [--most 100000] [--sessions 1000000] [--publish]
"""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.scale import calls, nights, page
from local import members, population, postgres
from local.population import Members
from local.processes import Processes
from local.workspace import Workspace
from migrations.upgrade import upgrade

FEW = 10_000
_MEMBERS_OF_FEW = 5_000


def main() -> None:
    options = _options()
    began = time.monotonic()

    def tell(what: str) -> None:
        results["loads"].append(round(os.getloadavg()[0], 1))
        print(f"[{time.monotonic() - began:4.0f} s] {what}", flush=True)

    results: dict[str, Any] = {"cores": os.cpu_count(), "loads": [], "nights": [], "calls": {}}
    with _database() as database:
        connection = database.connect()
        numbers = tuple(number for number in nights.NUMBERS if number <= options.most)
        total = len(numbers) * len(nights.NIGHTS)
        for done, night in enumerate(nights.measure(database, connection, numbers), 1):
            results["nights"].append(night)
            tell(f"{done} of {total} nights: {page.sentence(night)}")
        with connection, connection.cursor() as cursor:
            cursor.execute(f"{nights.EMPTY}; {population.MATCHES}")
        for first, sessions in ((100, FEW), (300, options.sessions)):
            tell(f"filling the tables with {sessions:,} ended sessions…")
            _fill(connection, sessions)
            costs = results["calls"][str(sessions)] = {}
            for done, (name, cost) in enumerate(calls.measure(database, first), 1):
                costs[name] = asdict(cost)
                tell(f"{done} of {calls.number_of_calls()} calls beside {sessions:,}: {page.cost(name, cost)}")
        connection.close()
    text = page.text(results)
    print(text)
    if options.publish:
        page.publish(results, text)


def _fill(connection: Any, sessions: int) -> None:  # noqa: ANN401 (psycopg2's)
    """Spread the ended sessions over many members, those that call among them."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(substr(id, 8)::int), 0) FROM users")
        [(there,)] = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM after_hours_sessions")
        [(ended,)] = cursor.fetchall()
    wanted = max(_MEMBERS_OF_FEW, sessions // 10)
    if wanted > there:
        population.join(connection, Members(there + 1, wanted))
    # Some of the first thousand have deleted their accounts by the second time.
    everyone = Members(1_001 if ended else 1, wanted)
    population.end_sessions(connection, everyone, each=max(1, (sessions - ended) // wanted))
    population.match(connection)
    population.analyze(connection)


@contextmanager
def _database() -> Iterator[postgres.Database]:
    with TemporaryDirectory(prefix="after-hours-") as folder:
        workspace = Workspace(Path(folder).resolve())
        processes = Processes(workspace)
        try:
            database = postgres.start(workspace, processes, durable=False)
            connection = database.connect()
            members.create_host_tables(connection)
            connection.close()
            upgrade(database.connect)
            yield database
        finally:
            processes.end_all()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--most", type=int, default=nights.NUMBERS[-1], help="things due at once, at most")
    parser.add_argument("--sessions", type=int, default=1_000_000, help="ended sessions that calls are compared beside")
    parser.add_argument("--publish", action="store_true", help=f"write {page.PAGE} and what lies beside it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
