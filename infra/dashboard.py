"""The dashboard: activity of members in the upper part, the state of the system in the lower part."""

from collections.abc import Iterable

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.endpoints import ENDPOINTS
from infra.metrics import FIVE_MINUTES, MAXIMUM, SUM, Measured

_THIRD = 8  # of the 24 columns
_WHOLE = 24
_LAG_OBJECTIVE_SECONDS = 120
_LAG_ALARM_SECONDS = 180


class Dashboard(Construct):
    """The dashboard, named after the stack."""

    def __init__(self, scope: Construct, measured: Measured, alarms: Iterable[cloudwatch.IAlarm]) -> None:
        super().__init__(scope, "Dashboard")
        system = [*_answers(measured), *_functions(measured), *_undone(measured), *_database(measured)]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=Stack.of(self).stack_name,
            widgets=[
                [cloudwatch.AlarmStatusWidget(title="Alarms", alarms=[*alarms], width=_WHOLE, height=4)],
                _heading("What members do"),
                [*_product(measured)],
                _heading("What the system does for it"),
                system,
            ],
        )


def _product(measured: Measured) -> Iterable[cloudwatch.IWidget]:
    custom = measured.custom
    yield _graph("Live sessions", custom("SessionsLive", MAXIMUM))
    yield _graph("Starts and extensions", custom("SessionsStarted"), custom("SessionsExtended"))
    yield _graph(
        "Ends: by the member, on time, without entitlement, by leaving",
        custom("SessionsEnded"),
        custom("SessionsExpired"),
        custom("SessionsLapsed"),
        custom("ProfilesDeleted"),
    )
    yield _graph(
        "Photos", custom("PhotosRequested"), custom("PhotosReady"), custom("PhotosRejected"), custom("PhotosFailed")
    )
    yield cloudwatch.GraphWidget(
        title="How late sessions end, in seconds: 99.9 % within 120",
        left=[custom("ExpiryLagSeconds", statistic).with_(label=statistic) for statistic in ("p50", "p99.9", MAXIMUM)],
        left_annotations=[
            cloudwatch.HorizontalAnnotation(value=_LAG_OBJECTIVE_SECONDS, label="objective"),
            cloudwatch.HorizontalAnnotation(value=_LAG_ALARM_SECONDS, label="alarm"),
        ],
        width=_THIRD,
    )
    yield cloudwatch.SingleValueWidget(
        title="Ends within 120 seconds, in percent",
        metrics=[custom("ExpiryLagSeconds", f"PR(:{_LAG_OBJECTIVE_SECONDS})")],
        set_period_to_time_range=True,
        width=_THIRD,
    )


def _answers(measured: Measured) -> Iterable[cloudwatch.IWidget]:
    stage = measured.api.stage
    yield _graph(
        "Answers: all, 5xx, 401, 403, 429",
        stage.metric_count(period=FIVE_MINUTES, statistic=SUM),
        stage.metric_server_error(period=FIVE_MINUTES, statistic=SUM),
        *(measured.answers_with(status).with_(label=str(status)) for status in (401, 403, 429)),
    )
    yield _graph(
        "Slowest answers by route (p99), in milliseconds",
        *(measured.latency(each).with_(label=each.function) for each in ENDPOINTS),
    )


def _functions(measured: Measured) -> Iterable[cloudwatch.IWidget]:
    functions = measured.functions.items()
    yield cloudwatch.GraphWidget(
        title="Concurrent executions, and the account's limit",
        left=[
            measured.account_concurrency().with_(label="all functions of the account"),
            *(each.metric("ConcurrentExecutions", statistic=MAXIMUM, label=name) for name, each in functions),
        ],
        left_annotations=[cloudwatch.HorizontalAnnotation(value=measured.stage.account_concurrency)],
        width=_THIRD,
    )
    yield _graph("Throttled", *(each.metric_throttles(label=name) for name, each in functions))
    yield _graph("Failed", *(each.metric_errors(label=name) for name, each in functions))
    yield _graph(
        "Longest runs, in milliseconds",
        *(each.metric_duration(statistic=MAXIMUM, label=name) for name, each in functions),
    )
    yield _graph(
        "Age of events when their function gets them, in milliseconds",
        *(measured.event_age(name).with_(label=name) for name in ("expire_session", "process_photo", "sweep")),
    )


def _undone(measured: Measured) -> Iterable[cloudwatch.IWidget]:
    yield _graph(
        "In dead-letter queues, undone, stuck",
        measured.session_dead_letters.metric_approximate_number_of_messages_visible(label="session dead letters"),
        measured.photo_dead_letters.metric_approximate_number_of_messages_visible(label="photo dead letters"),
        measured.custom("Undone", MAXIMUM),
        measured.custom("Stuck", MAXIMUM),
    )
    faults = ("SchedulerFaults", "EventBusFaults", "StorageFaults", "DatabaseFaults", "SecretFaults")
    yield _graph("Left to the sweep", *map(measured.custom, faults))


def _database(measured: Measured) -> Iterable[cloudwatch.IWidget]:
    if measured.cluster is None:
        return
    database = measured.cluster.database
    yield _graph("Database: capacity, in ACU", database.metric("ServerlessDatabaseCapacity", statistic=MAXIMUM))
    connections = [database.metric_database_connections(statistic=MAXIMUM)]
    if measured.cluster.proxy:
        connections.append(measured.cluster.proxy_metric("DatabaseConnectionsCurrentlySessionPinned"))
    yield _graph("Database: connections", *connections)
    yield _graph("Database: freeable memory, in bytes", database.metric_freeable_memory())


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=[*metrics], width=_THIRD)


def _heading(text: str) -> list[cloudwatch.IWidget]:
    return [cloudwatch.TextWidget(markdown=f"## {text}", width=_WHOLE, height=1)]
