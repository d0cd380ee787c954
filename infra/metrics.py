"""The metrics of each part of the system, which the alarms and the dashboard share."""

from collections.abc import Mapping
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

_NAMESPACE = "AfterHours"  # after_hours.observability


@dataclass(frozen=True)
class Measured:
    """The parts of a deployed system, and their metrics, mostly by five minutes.

    The metrics have no labels: CloudFormation writes an alarm on a labelled one as a metric query, which the local AWS
    does not know.
    """

    stage: Stage
    api: Api
    functions: Mapping[str, lambda_.Function]
    session_dead_letters: sqs.IQueue
    photo_dead_letters: sqs.IQueue
    cluster: Cluster | None

    def own(self, name: str, statistic: str = SUM) -> cloudwatch.Metric:
        """Return a metric that functions count themselves. The stack's name keeps two stages in one account apart."""
        return cloudwatch.Metric(
            namespace=_NAMESPACE,
            metric_name=name,
            dimensions_map={"service": Stack.of(self.api).stack_name},
            statistic=statistic,
            period=FIVE_MINUTES,
        )

    def answered(self, status: int) -> cloudwatch.Metric:
        """Return how many answers had this status, counted from the access log: API Gateway only counts 4xx and 5xx."""
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
            )
        return cloudwatch.Metric(namespace=namespace, metric_name=construct_id, statistic=SUM, period=FIVE_MINUTES)

    def latency(self, endpoint: Endpoint) -> cloudwatch.Metric:
        """Return how long a route's slowest answers took (p99), in milliseconds."""
        return self._of_route(endpoint, "Latency", P99, FIVE_MINUTES)

    def server_errors(self, endpoint: Endpoint) -> cloudwatch.Metric:
        """Return how many answers of a route were 5xx, in a minute."""
        return self._of_route(endpoint, "5xx", SUM, Duration.minutes(1))

    def _of_route(self, endpoint: Endpoint, name: str, statistic: str, period: Duration) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            # The stage's name, not a reference to it: the stage waits for the canaries, which wait for these alarms.
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
        """Return how long events waited for the function at most, in milliseconds."""
        return self.functions[function].metric("AsyncEventAge", statistic=MAXIMUM, period=FIVE_MINUTES)

    @staticmethod
    def account_concurrency() -> cloudwatch.Metric:
        """Return how many executions of the account's functions ran at once, at most."""
        return cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name="ConcurrentExecutions",
            statistic=MAXIMUM,
            period=FIVE_MINUTES,
        )
