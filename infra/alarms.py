"""The alarms: only what a person must act on. docs/operations.md says how."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_SERVER_ERRORS_IN_FIVE_MINUTES = 5  # one is a connection that broke; five are a fault that members see
_FAILED_SWEEPS_IN_FIVE_MINUTES = 3  # one may meet a database that restarts
_FIVE_MINUTES = Duration.minutes(5)

# Metrics of our own: calls that failed and were left to the sweep, which meets the same fault again and again.
_LEFT_TO_SWEEP = {
    "StorageFaults": "Photos of members who removed them or left cannot be deleted from R2 or S3",
    "EventBusFaults": "Chat and push services hear nothing: the event bus takes no events",
    "SchedulerFaults": "Sessions are ended by the sweep alone: EventBridge Scheduler takes no schedules",
    "DatabaseFaults": "What was done after a change cannot be recorded: the database fails in between",
    "SecretFaults": "Secrets cannot be read again, and are used as they were last read",
}

_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


def _own_metric(scope: Construct, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AfterHours",
        metric_name=name,
        dimensions_map={"service": Stack.of(scope).stack_name},
        period=_FIVE_MINUTES,
        statistic=cloudwatch.Stats.SUM,
    )


class Alarms(Construct):
    """The alarms and the topic that they publish to, which ops subscribe to."""

    def __init__(
        self,
        scope: Construct,
        *,
        session_dead_letters: sqs.IQueue,
        photo_dead_letters: sqs.IQueue,
        sweep: lambda_.IFunction,
        stage: apigatewayv2.HttpStage,
    ) -> None:
        super().__init__(scope, "Alarms")
        self.topic = sns.Topic(self, "Topic", display_name="After Hours alarms", enforce_ssl=True)
        # With a policy of its own (`enforce_ssl` makes one) a topic loses the default one, which let CloudWatch in.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        for name, queue, description in (
            (
                "SessionDeadLetters",
                session_dead_letters,
                "An event that ends or warns a session was given up. The sweep ended the session; find out why.",
            ),
            (
                "PhotoDeadLetters",
                photo_dead_letters,
                "A photo was given up, and its member was told so. Once the cause is gone, redriving makes it.",
            ),
        ):
            self._alarm(
                name,
                description,
                metric=queue.metric_approximate_number_of_messages_visible(period=_FIVE_MINUTES),
                comparison=_AT_LEAST,
                threshold=1,
                missing=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
        self._alarm(
            "SweepAbsent",
            "Nothing has invoked the sweep for five minutes: nobody repairs what the schedules miss.",
            metric=sweep.metric_invocations(period=_FIVE_MINUTES),
            comparison=_BELOW,
            threshold=1,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        self._alarm(
            "SweepErrors",
            "The sweep keeps failing: nobody repairs what the schedules miss.",
            metric=sweep.metric_errors(period=_FIVE_MINUTES),
            comparison=_AT_LEAST,
            threshold=_FAILED_SWEEPS_IN_FIVE_MINUTES,
            missing=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self._alarm(
            "ServerErrors",
            "Members get 5xx answers: a function fails, or the database or a secret is out of its reach.",
            metric=stage.metric_server_error(period=_FIVE_MINUTES, statistic=cloudwatch.Stats.SUM),
            comparison=_AT_LEAST,
            threshold=_SERVER_ERRORS_IN_FIVE_MINUTES,
            missing=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self._alarm(
            "Stuck",
            "An event, a schedule or a deletion was tried five times over half an hour, and is refused every time.",
            metric=_own_metric(self, "Stuck"),
            comparison=_AT_LEAST,
            threshold=1,
            missing=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        for name, description in _LEFT_TO_SWEEP.items():
            self._alarm(
                name,
                f"{description} for half an hour: members notice nothing, and the sweep does not get on.",
                metric=_own_metric(self, name),
                comparison=_AT_LEAST,
                threshold=1,
                missing=cloudwatch.TreatMissingData.NOT_BREACHING,
                periods=6,
            )

    def _alarm(
        self,
        name: str,
        description: str,
        *,
        metric: cloudwatch.IMetric,
        comparison: cloudwatch.ComparisonOperator,
        threshold: float,
        missing: cloudwatch.TreatMissingData,
        periods: int = 1,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_description=description,
            metric=metric,
            comparison_operator=comparison,
            threshold=threshold,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
