"""The alarms, and the two topics through which they reach a person: pages and tickets."""

from collections.abc import Iterable, Mapping

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.watches import Severity, Watch

_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


class Alarms(Construct):
    """One alarm for each row of the table, named after the stack and the row. `emails` has each topic's address."""

    def __init__(self, scope: Construct, watches: Iterable[Watch], *, emails: Mapping[Severity, str | None]) -> None:
        super().__init__(scope, "Alarms")
        self.topics = {severity: self._topic(severity, emails[severity]) for severity in Severity}
        self.by_name = {watch.name: self._alarm(watch) for watch in watches}

    def _topic(self, severity: Severity, email: str | None) -> sns.Topic:
        topic = sns.Topic(
            self, f"{severity.value}s", display_name=f"{Stack.of(self).stack_name} {severity.value}", enforce_ssl=True
        )
        # A policy of its own (`enforce_ssl` makes one) replaces the default policy, which lets CloudWatch publish.
        allow_publishing_by(topic, "cloudwatch.amazonaws.com")
        if email:
            topic.add_subscription(subscriptions.EmailSubscription(email))
            Validations.of(topic).acknowledge(
                Acknowledgment(
                    id="Serverless-SNSRedrivePolicy",
                    reason="Keeping an undelivered e-mail would help nobody; the dashboard shows alarms that ring",
                )
            )
        return topic

    def _alarm(self, watch: Watch) -> cloudwatch.Alarm:
        breaching, not_breaching = cloudwatch.TreatMissingData.BREACHING, cloudwatch.TreatMissingData.NOT_BREACHING
        alarm = cloudwatch.Alarm(
            self,
            watch.name,
            alarm_name=f"{Stack.of(self).stack_name}-{watch.name}",
            alarm_description=watch.description,
            metric=watch.metric,
            comparison_operator=_BELOW if watch.below else _AT_LEAST,
            threshold=watch.limit,
            evaluation_periods=watch.periods,
            treat_missing_data=breaching if watch.silence_rings else not_breaching,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topics[watch.severity]))
        return alarm


def allow_publishing_by(topic: sns.Topic, service: str) -> None:
    """Let a service of AWS publish to the topic on behalf of this account."""
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["sns:Publish"],
            principals=[iam.ServicePrincipal(service)],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(topic).account}},
        )
    )
