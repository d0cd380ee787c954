"""How many sweeps a bad night takes, and what calls cost in a database with a million ended sessions."""

from dataclasses import asdict
from typing import Any

from tools.benchmarks.measuring import Json, Progress, database
from tools.benchmarks.scale import calls, nights, page
from tools.local import population
from tools.local.population import Members

_FEW, _MANY, _MANY_OF_A_QUICK_RUN = 10_000, 1_000_000, 50_000  # ended sessions
_MOST_OF_A_QUICK_RUN = 1_000  # things due at once
_MEMBERS_OF_FEW = 5_000


def measure(progress: Progress) -> Json:
    numbers = tuple(n for n in nights.NUMBERS if not progress.quick or n <= _MOST_OF_A_QUICK_RUN)
    many = _MANY_OF_A_QUICK_RUN if progress.quick else _MANY
    results: Json = {"nights": [], "calls": {}}
    total, done = len(numbers) * len(nights.NIGHTS) + 2 * calls.number_of_calls(), 0
    with database() as server:
        connection = server.connect()
        for night in nights.measure(server, connection, numbers):
            results["nights"].append(night)
            done += 1
            progress.tell(done, total, page.sentence(night))
        with connection, connection.cursor() as cursor:
            cursor.execute(f"{nights.EMPTY}; {population.MATCHES}")
        for first, sessions in ((100, _FEW), (300, many)):
            progress.tell(done, total, f"filling the tables with {sessions:,} ended sessions…")
            _fill(connection, sessions)
            costs = results["calls"][str(sessions)] = {}
            for name, cost in calls.measure(server, first):
                costs[name] = asdict(cost)
                done += 1
                progress.tell(done, total, f"beside {sessions:,}: {page.cost(name, cost)}")
        connection.close()
    return results


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
