"""The alarms as a table. docs/operations.md says of each what it means and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra import canaries
from infra.cluster import Cluster
from infra.endpoints import ENDPOINTS
from infra.metrics import FIVE_MINUTES, MAXIMUM, MINIMUM, SUM, Measured

_MILLISECONDS = 1000
_GIB = 2**30
_GIB_PER_ACU = 2

_SERVER_ERRORS = 5  # one is a connection that broke; five are a fault that members see
_CANARY_ERRORS = 3  # in a minute
_FAILED_SWEEPS = 3  # one may meet a database that restarts
_REFUSED_TOKENS = 300  # members get some 401s whenever tokens expire; so many mean that the key is not the main app's
_TOO_MANY_REQUESTS = 100
_THROTTLED = 5
_EXPIRY_LAG_SECONDS = 180  # the objective is 99.9 % within 120
_SLOW_SECONDS = 3  # a cold start takes two
_SHARE_OF_A_LIMIT = 0.8
_LITTLE_MEMORY = 0.1
_HALF_AN_HOUR = 6
_QUARTER_OF_AN_HOUR = 3

# Faults of calls whose work was left to the sweep, which meets the same fault again and again.
_LEFT_TO_SWEEP = {
    "StorageFaults": "Photos of members who removed them or left cannot be deleted from R2 or S3",
    "EventBusFaults": "Chat and push services hear nothing: the event bus takes no events",
    "SchedulerFaults": "Sessions are ended by the sweep alone: EventBridge Scheduler takes no schedules",
    "DatabaseFaults": "What was done after a change cannot be recorded: the database fails in between",
    "SecretFaults": "Secrets cannot be read again, and are used as they were last read",
}
# How old an event may be when its function gets it. After two minutes the sweep has ended the session itself.
_EVENT_AGE_SECONDS = {"expire_session": 120, "process_photo": 600}


@dataclass(frozen=True)
class Watch:
    """One alarm: it rings when the metric was at the limit for so many consecutive periods."""

    name: str
    says: str
    metric: cloudwatch.Metric
    limit: float
    below: bool = False  # it rings below the limit; else at it and above
    periods: int = 1
    silence_rings: bool = False


def watches(measured: Measured) -> Iterator[Watch]:
    """Yield every alarm of a system."""
    yield from _promises(measured)
    yield from _answers(measured)
    yield from _undone(measured)
    yield from _functions(measured)
    if measured.cluster and measured.stage.cluster:
        yield from _database(measured.cluster, measured.stage.cluster.max_acu, measured.stage.cluster.max_connections)


def _promises(measured: Measured) -> Iterator[Watch]:
    sweep = measured.functions["sweep"]
    yield Watch(
        "ExpiryLag",
        "A session ended three minutes after its time: neither its schedule nor the sweep was there.",
        measured.own("ExpiryLagSeconds", MAXIMUM),
        limit=_EXPIRY_LAG_SECONDS,
    )
    yield Watch(
        "SweepAbsent",
        "Nothing has invoked the sweep: nobody repairs what the schedules miss.",
        sweep.metric_invocations(period=Duration.minutes(max(5, 2 * measured.stage.sweep_minutes))),
        limit=1,
        below=True,
        silence_rings=True,
    )
    yield Watch(
        "SweepErrors",
        "The sweep keeps failing: nobody repairs what the schedules miss.",
        sweep.metric_errors(period=FIVE_MINUTES),
        limit=_FAILED_SWEEPS,
    )
    for name, queue, says in (
        (
            "SessionDeadLetters",
            measured.session_dead_letters,
            "An event that ends or warns a session was given up. The sweep ended the session; find out why.",
        ),
        (
            "PhotoDeadLetters",
            measured.photo_dead_letters,
            "A photo was given up, and its member was told so. Once the cause is gone, redriving makes it.",
        ),
    ):
        yield Watch(name, says, queue.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES), limit=1)


def _answers(measured: Measured) -> Iterator[Watch]:
    yield Watch(
        "ServerErrors",
        "Members get 5xx answers: a function fails, or the database or a secret is out of its reach.",
        measured.api.stage.metric_server_error(period=FIVE_MINUTES, statistic=SUM),
        limit=_SERVER_ERRORS,
    )
    yield Watch(
        "TooManyRequests",
        "Many requests are answered 429: there are more members than the stage's limits allow, or a client runs wild.",
        measured.answered(429),
        limit=_TOO_MANY_REQUESTS,
    )
    yield Watch(
        "Unauthorized",
        "Many tokens are refused: the JWT secret is not the main app's, or somebody tries tokens out.",
        measured.answered(401),
        limit=_REFUSED_TOKENS,
    )
    for endpoint in ENDPOINTS:
        yield Watch(
            f"Slow-{endpoint.function}",
            f"One in a hundred answers of {endpoint.route_key} took {_SLOW_SECONDS} seconds, for a quarter of an hour.",
            measured.latency(endpoint),
            limit=_SLOW_SECONDS * _MILLISECONDS,
            periods=_QUARTER_OF_AN_HOUR,
        )
        if measured.stage.canary and endpoint.function in canaries.FUNCTIONS:
            yield Watch(
                f"Canary-{endpoint.function}",
                f"{endpoint.route_key} answers 5xx. If new code of it is going live, CodeDeploy takes that back.",
                measured.server_errors(endpoint),
                limit=_CANARY_ERRORS,
            )


def _undone(measured: Measured) -> Iterator[Watch]:
    yield Watch(
        "Stuck",
        "An event, a schedule or a deletion was tried five times over half an hour, and is refused every time.",
        measured.own("Stuck"),
        limit=1,
    )
    yield Watch(
        "Undone",
        "For half an hour every sweep has left something undone that was due: it does not keep up.",
        measured.own("Undone", MINIMUM),
        limit=1,
        periods=_HALF_AN_HOUR,
    )
    yield Watch(
        "SecretsIncomplete",
        "A secret lacks something, and the log says what (Misconfigured): every call that needs it is answered 503.",
        measured.own("SecretsIncomplete"),
        limit=1,
    )
    for name, says in _LEFT_TO_SWEEP.items():
        yield Watch(
            name,
            f"{says} for half an hour: members notice nothing, and the sweep does not get on.",
            measured.own(name),
            limit=1,
            periods=_HALF_AN_HOUR,
        )


def _functions(measured: Measured) -> Iterator[Watch]:
    for name, function in measured.functions.items():
        if function.timeout is None:
            raise ValueError("every function of ours has a timeout")
        yield Watch(
            f"NearTimeout-{name}",
            f"{name} ran for {_SHARE_OF_A_LIMIT:.0%} of the time that it has: what it waits for is slow.",
            function.metric_duration(period=FIVE_MINUTES, statistic=MAXIMUM),
            limit=_SHARE_OF_A_LIMIT * function.timeout.to_milliseconds(),
        )
        yield Watch(
            f"Throttled-{name}",
            f"{name} was not let run: as many ran at once as its stage reserves, or as the account may run.",
            function.metric_throttles(period=FIVE_MINUTES),
            limit=_THROTTLED,
        )
    for name, seconds in _EVENT_AGE_SECONDS.items():
        yield Watch(
            f"EventAge-{name}",
            f"Events waited {seconds} seconds for {name}.",
            measured.event_age(name),
            limit=seconds * _MILLISECONDS,
        )
    yield Watch(
        "AccountConcurrency",
        "The account's functions run nearly as often at once as they may; beyond that, all of them are throttled.",
        measured.account_concurrency(),
        limit=_SHARE_OF_A_LIMIT * measured.stage.account_concurrency,
    )


def _database(cluster: Cluster, max_acu: int, max_connections: int) -> Iterator[Watch]:
    database = cluster.database
    yield Watch(
        "DatabaseConnections",
        "Most of the connections that PostgreSQL has are taken; beyond that it refuses them.",
        database.metric_database_connections(period=FIVE_MINUTES, statistic=MAXIMUM),
        limit=_SHARE_OF_A_LIMIT * max_connections,
    )
    yield Watch(
        "DatabaseCapacity",
        f"The database has run near its {max_acu} ACU for a quarter of an hour; beyond that it gets slow.",
        database.metric("ServerlessDatabaseCapacity", period=FIVE_MINUTES, statistic=MAXIMUM),
        limit=_SHARE_OF_A_LIMIT * max_acu,
        periods=_QUARTER_OF_AN_HOUR,
    )
    yield Watch(
        "DatabaseMemory",
        "The database has little memory left even at its largest capacity.",
        database.metric_freeable_memory(period=FIVE_MINUTES, statistic=MINIMUM),
        limit=_LITTLE_MEMORY * max_acu * _GIB_PER_ACU * _GIB,
        below=True,
        periods=_QUARTER_OF_AN_HOUR,
    )
    if cluster.proxy:
        yield Watch(
            "ProxyPinned",
            "RDS Proxy cannot share connections: a statement changes its session, which then belongs to one client.",
            cluster.pinned_connections(),
            limit=1,
            periods=15,  # of a minute each
        )
