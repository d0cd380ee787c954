"""The metrics of all parts of the system, for the alarms and the dashboard."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from infra.api import STAGE_NAME, Api
from infra.cluster import Cluster
from infra.endpoints import PREFIX, Endpoint
from infra.stages import Stage

FIVE_MINUTES = Duration.minutes(5)
SUM = cloudwatch.Stats.SUM
MINIMUM = cloudwatch.Stats.MINIMUM
MAXIMUM = cloudwatch.Stats.MAXIMUM
P99 = "p99"

NAMESPACE = "AfterHours"  # after_hours.foundation.observability


@dataclass(frozen=True)
class Measured:
    """The parts of a stack, and their metrics, mostly over five minutes.

    The metrics have no labels: CloudFormation turns an alarm on a labelled metric into metric math, which the local
    AWS does not have.
    """

    stage: Stage
    api: Api
    functions: Mapping[str, lambda_.Function]
    schedule_group: str
    session_dead_letters: sqs.IQueue
    photo_dead_letters: sqs.IQueue
    cluster: Cluster | None

    def custom(self, name: str, statistic: str = SUM) -> cloudwatch.Metric:
        """Return a metric that functions write. Its dimension, the stack's name, separates stages in one account."""
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"service": Stack.of(self.api).stack_name},
            statistic=statistic,
            period=FIVE_MINUTES,
        )

    def answers_with(self, status: int) -> cloudwatch.Metric:
        """Count the answers with this status in the access log: API Gateway counts only all 4xx and all 5xx."""
        construct_id = f"Answered{status}"
        namespace = Stack.of(self.api).stack_name
        if self.api.node.try_find_child(construct_id) is None:
            logs.MetricFilter(
                self.api,
                construct_id,
                log_group=self.api.access_log,
                filter_pattern=logs.FilterPattern.string_value("$.status", "=", str(status)),
                metric_namespace=namespace,
                metric_name=construct_id,
                metric_value="1",
                default_value=0,
            )
        return cloudwatch.Metric(namespace=namespace, metric_name=construct_id, statistic=SUM, period=FIVE_MINUTES)

    def share_answered(self, status: int, *, floor: int) -> cloudwatch.IMetric:
        """Return the percentage of all answers with this status; 0 for fewer than `floor` answers with it."""
        return highest_share([(self.answers_with(status), self.api.stage.metric_count(statistic=SUM))], floor=floor)

    def share_failed(self, endpoints: Iterable[Endpoint], *, floor: int) -> cloudwatch.IMetric:
        """Return the highest percentage of 5xx among the answers of a route; fewer than `floor` count as 0."""
        return highest_share(
            [
                (self._of_route(each, "5xx", SUM, FIVE_MINUTES), self._of_route(each, "Count", SUM, FIVE_MINUTES))
                for each in endpoints
            ],
            floor=floor,
        )

    def latency(self, endpoint: Endpoint) -> cloudwatch.Metric:
        """Return the 99th percentile of a route's latency, in milliseconds."""
        return self._of_route(endpoint, "Latency", P99, FIVE_MINUTES)

    def server_errors(self, endpoint: Endpoint) -> cloudwatch.Metric:
        """Count the 5xx answers of a route in a minute."""
        return self._of_route(endpoint, "5xx", SUM, Duration.minutes(1))

    def _of_route(self, endpoint: Endpoint, name: str, statistic: str, period: Duration) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            # By name, since a reference would be circular: the stage needs the canaries, which need these alarms.
            dimensions_map={
                "ApiId": self.api.http.api_id,
                "Stage": STAGE_NAME,
                "Method": endpoint.method,
                "Resource": f"{PREFIX}{endpoint.path}",
            },
            statistic=statistic,
            period=period,
        )

    def event_age(self, function: str) -> cloudwatch.Metric:
        """Return the longest time that an event waited for the function, in milliseconds."""
        return self.functions[function].metric("AsyncEventAge", statistic=MAXIMUM, period=FIVE_MINUTES)

    def of_schedules(self, name: str) -> cloudwatch.Metric:
        """Return a metric of EventBridge Scheduler about our group of schedules."""
        return cloudwatch.Metric(
            namespace="AWS/Scheduler",
            metric_name=name,
            dimensions_map={"ScheduleGroup": self.schedule_group},
            statistic=SUM,
            period=FIVE_MINUTES,
        )

    @staticmethod
    def account_concurrency() -> cloudwatch.Metric:
        """Return the largest number of concurrent executions of all functions of the account."""
        return cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name="ConcurrentExecutions",
            statistic=MAXIMUM,
            period=FIVE_MINUTES,
        )


def highest(metrics: Iterable[cloudwatch.IMetric]) -> cloudwatch.IMetric:
    """Return the highest of several metrics, for each period."""
    return _combined("MAX", "m", metrics)


def total(metrics: Iterable[cloudwatch.IMetric]) -> cloudwatch.IMetric:
    """Return the sum of several metrics; one without data counts as 0."""
    return _combined("SUM", "t", metrics)


def highest_share(
    parts_and_wholes: Iterable[tuple[cloudwatch.IMetric, cloudwatch.IMetric]], *, floor: int
) -> cloudwatch.IMetric:
    """Return the highest percentage of a part in its whole. A part below `floor` counts as 0."""
    shares = [
        cloudwatch.MathExpression(
            expression=f"IF(part{n} >= {floor}, 100 * part{n} / whole{n}, 0)",
            using_metrics={f"part{n}": part, f"whole{n}": whole},
            period=FIVE_MINUTES,
        )
        for n, (part, whole) in enumerate(parts_and_wholes)
    ]
    return shares[0] if len(shares) == 1 else _combined("MAX", "share", shares)


def _combined(function: str, prefix: str, metrics: Iterable[cloudwatch.IMetric]) -> cloudwatch.MathExpression:
    named = {f"{prefix}{n}": metric for n, metric in enumerate(metrics)}
    return cloudwatch.MathExpression(
        expression=f"{function}([{', '.join(named)}])", using_metrics=named, period=FIVE_MINUTES
    )
