"""The alarms as a table. docs/operations.md has the meaning of each, and the instructions for it.

Alarms watch symptoms: a function that is throttled, slow or near its timeout shows in the answers of its route, in a
dead-letter queue or in the sweep, and the dashboard shows the cause. Where a number of events depends on the number of
members, the alarm watches their share, and ignores fewer events than a floor.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra import canaries
from infra.cluster import Cluster
from infra.endpoints import ENDPOINTS, Endpoint
from infra.metrics import FIVE_MINUTES, MAXIMUM, MINIMUM, Measured, highest, highest_share, total

_MILLISECONDS = 1000
_SAMPLES = cloudwatch.Stats.SAMPLE_COUNT

_FEW = 5  # single faults, a broken connection say, stay below this
_MANY = 100
_FAILED_PERCENT = 1
_REFUSED_PERCENT = 25  # expired tokens and ended subscriptions cause a few refusals; so many mean a fault
_TOO_MANY_PERCENT = 5
_PINNED_PERCENT = 10
_CANARY_ERRORS = 3  # in a minute
_EXPIRY_LAG_SECONDS = 180  # the objective is 99.9 % within 120
_PHOTO_AGE_SECONDS = 600
_SLOW_SECONDS = 3  # a cold start takes two
_SHARE_OF_A_LIMIT = 0.8
_TEN_MINUTES = 2
_QUARTER_OF_AN_HOUR = 3
_HALF_AN_HOUR = 6

# Faults of calls whose work the sweep must do. While the cause lasts, the sweep has the same faults.
_LEFT_TO_SWEEP = ("StorageFaults", "EventBusFaults", "SchedulerFaults", "DatabaseFaults")
_REFUSED_LOGINS, _LOGINS = "ClientConnectionsSetupFailedAuth", "ClientConnectionsReceived"
_PINNED, _CONNECTIONS = "DatabaseConnectionsCurrentlySessionPinned", "DatabaseConnections"
# How invocations by schedules fail: the function cannot be invoked, it is throttled, the retries end, or the
# dead-letter queue cannot be reached either.
_FAILED_SCHEDULES = (
    "TargetErrorCount",
    "TargetErrorThrottledCount",
    "InvocationDroppedCount",
    "InvocationsFailedToBeSentToDeadLetterCount",
)


class Severity(Enum):
    """How soon a person must act: a page wakes somebody up, a ticket waits until the next working day."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True)
class Watch:
    """One alarm: it rings when the metric reaches the limit for `periods` periods in a row."""

    name: str
    severity: Severity
    description: str
    metric: cloudwatch.IMetric
    limit: float
    below: bool = False  # it rings below the limit; otherwise at and above it
    periods: int = 1
    silence_rings: bool = False

    @property
    def is_emulated(self) -> bool:
        """Whether the local AWS can have the alarm: it has no metric math."""
        return isinstance(self.metric, cloudwatch.Metric)


def watches(measured: Measured) -> Iterator[Watch]:
    """Yield every alarm of a stack."""
    groups = (_background, _answers, _undone, _interference, _limits)
    everything = [watch for group in groups for watch in group(measured)]
    if measured.cluster and measured.stage.cluster:
        everything += _database(
            measured.cluster, measured.stage.cluster.max_acu, measured.stage.cluster.max_connections
        )
    if measured.stage.emulated:
        return (watch for watch in everything if watch.is_emulated)
    return iter([*everything, *_from_the_internet(measured)])


def _background(measured: Measured) -> Iterator[Watch]:
    yield Watch(
        "ExpiryLag",
        Severity.PAGE,
        "A session was ended three minutes late or later: neither its schedule nor the sweep ended it in time.",
        measured.custom("ExpiryLagSeconds", MAXIMUM),
        limit=_EXPIRY_LAG_SECONDS,
    )
    yield Watch(
        "Sweep",
        Severity.PAGE,
        "No sweep has finished: none was started, or each fails. Failures of schedules are not repaired.",
        # A sweep counts undone tasks at its end, after all its duties.
        measured.custom("Undone", _SAMPLES).with_(period=Duration.minutes(max(15, 2 * measured.stage.sweep_minutes))),
        limit=1,
        below=True,
        silence_rings=True,
    )
    yield Watch(
        "DeadLetters",
        Severity.TICKET,
        "An event of a session or a photo is in a dead-letter queue. Find the cause, then redrive it.",
        highest(
            queue.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES, statistic=MAXIMUM)
            for queue in (measured.session_dead_letters, measured.photo_dead_letters)
        ),
        limit=1,
    )
    yield Watch(
        "SchedulesFailed",
        Severity.TICKET,
        "Schedules fire, but expire_session does not run: only the sweep ends these sessions, up to a minute late.",
        highest_share(
            [(total(map(measured.of_schedules, _FAILED_SCHEDULES)), measured.of_schedules("InvocationAttemptCount"))],
            floor=_FEW,
        ),
        limit=_FAILED_PERCENT,
    )


def _answers(measured: Measured) -> Iterator[Watch]:
    for area, endpoints in groupby(sorted(ENDPOINTS, key=_area), _area):
        yield Watch(
            f"ServerErrors-{area}",
            Severity.PAGE,
            f"One in a hundred answers of a route about {area} is a 5xx: a function, the database or a secret fails.",
            measured.share_failed(endpoints, floor=_FEW),
            limit=_FAILED_PERCENT,
        )
    for kind, slow in (("reads", _reads()), ("changes", _changes())):
        yield Watch(
            f"Slow-{kind}",
            Severity.TICKET,
            f"One in a hundred answers of a route took {_SLOW_SECONDS} seconds, for a quarter of an hour.",
            highest(map(measured.latency, slow)),
            limit=_SLOW_SECONDS * _MILLISECONDS,
            periods=_QUARTER_OF_AN_HOUR,
        )
    yield Watch(
        "Unauthorized",
        Severity.PAGE,
        "A quarter of all answers is 401: the JWT secret differs from the main app's, or somebody tries forged tokens.",
        measured.share_answered(401, floor=_MANY),
        limit=_REFUSED_PERCENT,
    )
    yield Watch(
        "Forbidden",
        Severity.PAGE,
        "A quarter of all answers is 403: members count as without subscription, verification or consent.",
        measured.share_answered(403, floor=_MANY),
        limit=_REFUSED_PERCENT,
    )
    yield Watch(
        "TooManyRequests",
        Severity.TICKET,
        "One in twenty answers is 429: the stage's limits are too low for its members, or a client calls too often.",
        measured.share_answered(429, floor=_MANY),
        limit=_TOO_MANY_PERCENT,
    )
    for endpoint in ENDPOINTS:
        if measured.stage.canary and endpoint.function in canaries.FUNCTIONS:
            yield Watch(
                f"Canary-{endpoint.function}",
                Severity.TICKET,
                f"{endpoint.route_key} answers 5xx. If its new code is going live, CodeDeploy rolls it back.",
                measured.server_errors(endpoint),
                limit=_CANARY_ERRORS,
            )


def _area(endpoint: Endpoint) -> str:
    """Return the group of a route's alarm, which may have ten metrics at most, two for each route."""
    return "photo" if endpoint.path.endswith("/photo") else endpoint.path.split("/")[1]


def _reads() -> Iterable[Endpoint]:
    return (endpoint for endpoint in ENDPOINTS if endpoint.method == "GET")


def _changes() -> Iterable[Endpoint]:
    return (endpoint for endpoint in ENDPOINTS if endpoint.method != "GET")


def _undone(measured: Measured) -> Iterator[Watch]:
    yield Watch(
        "Stuck",
        Severity.TICKET,
        "An event, a schedule or a deletion has failed five times, over some twenty minutes.",
        measured.custom("Stuck", MAXIMUM),
        limit=1,
    )
    yield Watch(
        "Undone",
        Severity.TICKET,
        "For half an hour each sweep has ended with due tasks undone: it is too slow, or they fail.",
        measured.custom("Undone", MINIMUM),
        limit=1,
        periods=_HALF_AN_HOUR,
    )
    yield Watch(
        "LeftToSweep",
        Severity.TICKET,
        "The work after a change has failed for half an hour, also in the sweep. Members do not notice it yet.",
        highest(map(measured.custom, _LEFT_TO_SWEEP)),
        limit=1,
        periods=_HALF_AN_HOUR,
    )
    yield Watch(
        "Secrets",
        Severity.PAGE,
        "A secret lacks a field or cannot be read again: calls that need it get a 503, at once or in an hour.",
        total(map(measured.custom, ("SecretsIncomplete", "SecretFaults"))),
        limit=1,
        periods=_QUARTER_OF_AN_HOUR,
    )


def _interference(measured: Measured) -> Iterator[Watch]:
    yield Watch(
        "ForeignDeletions",
        Severity.TICKET,
        "Tasks would have deleted objects whose keys are not ours: another program writes the keys of photos.",
        measured.custom("ForeignDeletions"),
        limit=1,
    )
    yield Watch(
        "SchedulesLost",
        Severity.TICKET,
        "Schedules are missing: another program deletes them, or their group. The sweep makes them anew.",
        measured.custom("SchedulesLost"),
        limit=1,
    )


def _limits(measured: Measured) -> Iterator[Watch]:
    yield Watch(
        "PhotosLate",
        Severity.TICKET,
        f"Photos waited {_PHOTO_AGE_SECONDS // 60} minutes for process_photo.",
        measured.event_age("process_photo"),
        limit=_PHOTO_AGE_SECONDS * _MILLISECONDS,
    )
    yield Watch(
        "AccountConcurrency",
        Severity.TICKET,
        "The account's concurrent executions are near its limit; beyond that, all functions are throttled.",
        measured.account_concurrency(),
        limit=_SHARE_OF_A_LIMIT * measured.stage.account_concurrency,
    )


def _from_the_internet(measured: Measured) -> Iterator[Watch]:
    yield Watch(
        "Unreachable",
        Severity.PAGE,
        "For ten minutes the API has not answered 401 to a call from the internet without a token.",
        measured.custom("Heartbeats"),
        limit=1,
        below=True,
        periods=_TEN_MINUTES,
        silence_rings=True,
    )
    yield Watch(
        "EventBusGone",
        Severity.TICKET,
        "The event bus does not exist: chat and push services get no events, although PutEvents succeeds.",
        measured.custom("EventBusMissing"),
        limit=1,
    )


def _database(cluster: Cluster, max_acu: int, max_connections: int) -> Iterator[Watch]:
    database = cluster.database
    yield Watch(
        "DatabaseConnections",
        Severity.TICKET,
        "Most of PostgreSQL's connections are in use; beyond its limit it refuses new ones.",
        database.metric_database_connections(period=FIVE_MINUTES, statistic=MAXIMUM),
        limit=_SHARE_OF_A_LIMIT * max_connections,
    )
    yield Watch(
        "DatabaseCapacity",
        Severity.TICKET,
        f"The database has run near its {max_acu} ACU for a quarter of an hour; beyond that it gets slow.",
        database.metric("ServerlessDatabaseCapacity", period=FIVE_MINUTES, statistic=MAXIMUM),
        limit=_SHARE_OF_A_LIMIT * max_acu,
        periods=_QUARTER_OF_AN_HOUR,
    )
    if cluster.proxy:
        yield Watch(
            "ProxyPinned",
            Severity.TICKET,
            "RDS Proxy cannot share connections: a statement changes its session, which ties it to one client.",
            highest_share([(cluster.proxy_metric(_PINNED), cluster.proxy_metric(_CONNECTIONS))], floor=_FEW),
            limit=_PINNED_PERCENT,
            periods=_QUARTER_OF_AN_HOUR,
        )
        yield Watch(
            "ProxyLogins",
            Severity.TICKET,
            "RDS Proxy refuses logins: a right or a role of PostgreSQL is missing, or another client tries.",
            highest_share([(cluster.proxy_metric(_REFUSED_LOGINS), cluster.proxy_metric(_LOGINS))], floor=_FEW),
            limit=_FAILED_PERCENT,
        )
