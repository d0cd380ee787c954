"""What a month costs, and which limit is met first: `make cost` writes docs/cost.md and its plot from ops/prices.py.

The model is in `Load`: what a session asks of each part. What a call takes of processors is measured (`make bench
PART=load`); all else is arithmetic.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.stages import STAGES, Cluster, Concurrency
from ops import prices
from ops.prices import HOURS_A_MONTH

PAGE = Path(__file__).parents[1] / "docs" / "cost.md"
PLOT = PAGE.with_name("cost.svg")

SESSIONS_A_DAY = (1_000, 100_000, 5_000_000)

# The mean call of an evening of as many members at once as were measured. A poll takes less than that.
_LOAD = json.loads((PAGE.parent / "performance" / "load.json").read_text())["members"]
_MEMBERS = max(_LOAD, key=int)
_CALL: dict[str, float] = _LOAD[_MEMBERS]

_SECONDS_A_DAY = 86_400
_DAYS_A_MONTH = HOURS_A_MONTH / 24
_SESSION_SECONDS = 1_800
_POLLED_EVERY_SECONDS = 15
_PEAK = 4  # the busiest minute of an evening, in averages of the day

_CALLS = 8  # of a session, without polling: profile, photo and preferences read, start, a look or two, an end
_CHANGES = 1.5  # of those, that change something
_PHOTOS = 0.05
_EVENTS = 3
_MEMORY_GB = 0.5
_PROCESSORS = 512 / 1769  # that Lambda gives with this memory
_ROUND_TRIP_SECONDS = 0.002  # of a statement, through the proxy and perhaps into another zone
_COLD_SECONDS = 0.005 * 2  # one call of two hundred is a cold start, which takes two seconds
_CALL_SECONDS = (  # billed
    _CALL["cpu_ms_per_call"] / 1000 / _PROCESSORS + _CALL["statements_per_call"] * _ROUND_TRIP_SECONDS + _COLD_SECONDS
)
_TOLD_SECONDS = 0.05  # that a change waits besides, for EventBridge and Scheduler
_PHOTO_GB_SECONDS = 1.73 * 2.5
_LOGGED_GB_A_CALL = 2.5e-6  # the request's line, its metrics, Lambda's report, the access log
_ANSWER_GB = 1e-6
_ACU_PROCESSORS = 0.25 / 2  # an ACU has a quarter of one, which is used by half
_CALLS_A_SECOND_AND_ACU = _ACU_PROCESSORS / (_CALL["database_cpu_ms_per_call"] / 1000)
_IO_A_CHANGE = 10
_STORED_GB_A_SESSION = 2e-6  # with its indexes, for 90 days
_OWN_METRICS = 35
_ROUTE_METRICS = 14 * 6
_ALARMS = 75
_PROXY_AT_LEAST_ACU = 8


@dataclass(frozen=True)
class Load:
    """So many sessions a day, of members whose phones poll or do not."""

    sessions: float
    polling: bool

    @property
    def calls(self) -> float:
        """A day."""
        return self.sessions * self.calls_a_session

    @property
    def calls_a_session(self) -> float:
        return _CALLS + (_SESSION_SECONDS / _POLLED_EVERY_SECONDS if self.polling else 0)

    @property
    def calls_a_second(self) -> float:
        """At the peak."""
        return _PEAK * self.calls / _SECONDS_A_DAY


def month(load: Load) -> dict[str, float]:
    """Return dollars a month, by what they are for."""
    days, calls, sessions = _DAYS_A_MONTH, load.calls * _DAYS_A_MONTH, load.sessions * _DAYS_A_MONTH
    sweeps = 60 * HOURS_A_MONTH
    acu = _acu(load)
    photos = sessions * _PHOTOS
    return {
        "database": acu * HOURS_A_MONTH * prices.ACU.each
        + sessions * _CHANGES * _IO_A_CHANGE * prices.DATABASE_IO.each
        + load.sessions * 90 * _STORED_GB_A_SESSION * prices.DATABASE_STORAGE.each,
        "proxy": max(acu, _PROXY_AT_LEAST_ACU) * HOURS_A_MONTH * prices.PROXY.each,
        "API": calls * prices.HTTP_API.each + calls * _ANSWER_GB * prices.TRANSFER.each,
        "functions": (calls + 2 * sessions + photos + sweeps) * prices.LAMBDA_REQUESTS.each
        + (
            (calls + 2 * sessions + sweeps) * _CALL_SECONDS * _MEMORY_GB
            + _CHANGES * sessions * _TOLD_SECONDS * _MEMORY_GB
            + photos * _PHOTO_GB_SECONDS
        )
        * prices.LAMBDA_TIME.each,
        "schedules, events": 2 * sessions * prices.SCHEDULER.each + _EVENTS * sessions * prices.EVENTS.each,
        "photos": photos * (prices.UPLOADS.each + 2 * prices.R2_WRITES.each)
        + days * load.sessions * prices.R2_READS.each,
        "logs": (calls + 2 * sessions + sweeps) * _LOGGED_GB_A_CALL * prices.LOGS.each,
        "watching, secrets": (_OWN_METRICS + _ROUTE_METRICS) * prices.METRICS.each
        + _ALARMS * prices.ALARMS.each
        + prices.DASHBOARD.each
        + 4 * prices.SECRETS.each,
    }


def _acu(load: Load) -> float:
    """ACU on the average of the day, of writer and reader, which is scaled with it."""
    cluster, _ = _production()
    needed = load.calls / _SECONDS_A_DAY / _CALLS_A_SECOND_AND_ACU
    return (2 if cluster.reader else 1) * max(cluster.min_acu, needed)


def _production() -> tuple[Cluster, Concurrency]:
    stage = STAGES["prod"]
    if stage.cluster is None or stage.concurrency is None:
        raise ValueError("production has a cluster, and reserves")
    return stage.cluster, stage.concurrency


@dataclass(frozen=True)
class Wall:
    """A limit, and the share of it that one session a day takes at the peak."""

    what: str
    limit: float
    raised_by: str
    share: float

    @property
    def sessions(self) -> float:
        """A day, at which the limit is met."""
        return self.limit / self.share


def walls(*, polling: bool) -> list[Wall]:
    """Return the limits, the first to be met first."""
    stage = STAGES["prod"]
    cluster, concurrency = _production()
    one = Load(1, polling)
    a_second = _PEAK / _SECONDS_A_DAY
    polls = (one.calls_a_session - _CHANGES) * a_second
    held = _PEAK * 2 * _SESSION_SECONDS / _SECONDS_A_DAY
    found = [
        Wall("reads a second, which the stage lets through", stage.reads.rate, "`reads` in the stage's row", polls),
        Wall("starts a second, which the stage lets through", stage.changes.rate, "`changes` there", a_second),
        Wall(
            "get_session at once, as reserved",
            concurrency.polled,
            "`concurrency` there; mind the database's connections",
            polls * _CALL_SECONDS,
        ),
        Wall(
            "calls a second that the largest capacity serves",
            cluster.max_acu * _CALLS_A_SECOND_AND_ACU,
            "`max_acu` there, up to 256; then reads from the reader, or answers without a poll",
            one.calls_a_second,
        ),
        *(
            Wall(quota.of, quota.limit, quota.raised_by, share)
            for quota, share in (
                (prices.API_RATE, one.calls_a_second),
                (
                    prices.LAMBDA_AT_ONCE,
                    (one.calls_a_second + 2 * a_second) * _CALL_SECONDS + _CHANGES * a_second * _TOLD_SECONDS,
                ),
                (prices.SCHEDULES_MADE, 2 * a_second),
                (prices.SCHEDULES_FIRED, 2 * a_second),
                (prices.SCHEDULES_HELD, held),
                (prices.EVENTS_PUT, _EVENTS * a_second),
            )
        ),
    ]
    return sorted(found, key=lambda wall: wall.sessions)


def page() -> str:
    """Return docs/cost.md."""
    return _PAGE.format(
        noted=min(price.noted for price in vars(prices).values() if isinstance(price, prices.Price)),
        polled=_POLLED_EVERY_SECONDS,
        calls=_CALLS,
        members=_MEMBERS,
        statements=_CALL["statements_per_call"],
        cpu=_CALL["cpu_ms_per_call"],
        database_cpu=_CALL["database_cpu_ms_per_call"],
        billed=1000 * _CALL_SECONDS,
        months="\n".join(_months()),
        walls="\n".join(_walls()),
    )


def _months() -> Iterator[str]:
    loads = [Load(0, polling=False)]
    loads += [Load(sessions, polling) for sessions in SESSIONS_A_DAY for polling in (False, True)]
    costs = [month(load) for load in loads]
    heads = [f"{load.sessions:,.0f}{', polling' if load.polling else ''}" for load in loads]
    totals = [sum(cost.values()) for cost in costs]
    cents = [
        f"{100 * total / load.sessions / _DAYS_A_MONTH:.3f}" if load.sessions else ""
        for total, load in zip(totals, loads, strict=True)
    ]
    yield _row("sessions a day", heads)
    yield f"|---|{'---:|' * len(loads)}"
    for part in costs[0]:
        yield _row(part, [f"{cost[part]:,.0f}" for cost in costs])
    yield _row("**in all**", [f"**{total:,.0f}**" for total in totals])
    yield _row("cents a session", cents)


def _row(head: str, cells: list[str]) -> str:
    return f"| {head} | {' | '.join(cells)} |"


def _walls() -> Iterator[str]:
    yield "| limit | is | met at so many sessions a day, polling | without | moved by |"
    yield "|---|---:|---:|---:|---|"
    calm = {wall.what: wall for wall in walls(polling=False)}
    for wall in walls(polling=True):
        yield (
            f"| {wall.what} | {wall.limit:,.0f} | {_rounded(wall.sessions)} | {_rounded(calm[wall.what].sessions)}"
            f" | {wall.raised_by} |"
        )


def _rounded(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.0f}"


def plot() -> None:
    """Draw what a month costs by sessions a day, and where the first wall is."""
    import matplotlib as mpl  # noqa: PLC0415 (only who draws pays for it)

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "after-hours"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(8, 4.5))
    sessions = [10 ** (exponent / 10) for exponent in range(20, 71)]
    for polling, colour in ((True, "tab:red"), (False, "tab:blue")):
        name = "polling" if polling else "not polling"
        axes.plot(sessions, [sum(month(Load(each, polling)).values()) for each in sessions], color=colour, label=name)
        first = walls(polling=polling)[0]
        axes.axvline(first.sessions, color=colour, linestyle=":", label=f"first wall, {name}")
    axes.set(xscale="log", yscale="log", xlabel="sessions a day", ylabel="dollars a month")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})


_PAGE = """\
# What it costs, and where it ends

`make cost` writes this page from `ops/prices.py` (prices and quotas of us-east-1, noted {noted}, without free tiers)
and `ops/cost.py` (what a session asks of each part). It is arithmetic about the stage prod with a database of our own.
Measured, by {members} members at once ([performance](performance.md#many-members-at-once)): a call makes {statements}
statements, and takes {cpu} ms of a processor and {database_cpu} ms of the database's. Lambda bills {billed:.0f} ms
for it: what that is with a function's share of a processor, two ms for each statement, and cold starts. A change waits
for EventBridge besides.

## A month, in dollars

{months}

![dollars a month by sessions a day](cost.svg)

A session makes {calls} calls. A phone that polls every {polled} seconds makes 120 more in half an hour, and they are
nearly all that a large deployment costs. So `GET /session` is for when the app is opened; then the phone counts
`remainingSeconds` down by itself, and hears of ends from push. What stands still is nearly all that a small one costs:
the smallest capacity of writer and reader, and RDS Proxy. staging has neither reader nor proxy, and dev's database
costs nothing while it sleeps.

## Which wall comes first

At the peak, which is taken to be four times the day's average.

{walls}

Polling meets the stage's own limit first, which is there to be met before the database is. Without polling every wall
is millions of sessions a day away. Two walls are not numbers of sessions:

- **Connections.** Each function that runs holds one; the proxy shares those of the database. What is reserved in all,
  and 20, must be within four fifths of what the largest capacity has: the synthesis refuses a row that asks for more.
- **Logins.** PostgreSQL takes some 200 logins by token a second. A deployment makes all functions log in anew, and the
  proxy, which keeps its own connections, bears that.

## Why a second region means homing members

A global database has one writer. A second region on it would send every start, end and extension across an ocean, and
read a copy that lags: a session could be live here and ended there, which is the one thing that must not be. Schedules,
buses and secrets belong to a region besides, and an end is prompt only where its schedule is. So a second region is a
second stack with a database of its own, and each member has a home (where their account was made, say): a token names
it, and whoever meets a member of another home answers with that home's address. What stands still is then paid for
twice, and every wall is twice as far. A copy of the database elsewhere is for the day when a region is lost.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
    plot()
