"""The alarms, and the topic through which they reach a person."""

from collections.abc import Iterable

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.watches import Watch

_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


class Alarms(Construct):
    """One alarm for each row of the table, named after the stack and the row."""

    def __init__(self, scope: Construct, watches: Iterable[Watch], *, email: str | None) -> None:
        super().__init__(scope, "Alarms")
        self.topic = sns.Topic(self, "Topic", display_name="After Hours alarms", enforce_ssl=True)
        # A topic with a policy of its own (`enforce_ssl` makes one) loses the default policy, which let CloudWatch in.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        if email:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
            Validations.of(self.topic).acknowledge(
                Acknowledgment(
                    id="Serverless-SNSRedrivePolicy",
                    reason="Keeping an undelivered e-mail would help nobody; the dashboard shows alarms that ring",
                )
            )
        self.by_name = {watch.name: self._alarm(watch) for watch in watches}

    def _alarm(self, watch: Watch) -> cloudwatch.Alarm:
        breaching, not_breaching = cloudwatch.TreatMissingData.BREACHING, cloudwatch.TreatMissingData.NOT_BREACHING
        alarm = cloudwatch.Alarm(
            self,
            watch.name,
            alarm_name=f"{Stack.of(self).stack_name}-{watch.name}",
            alarm_description=watch.says,
            metric=watch.metric,
            comparison_operator=_BELOW if watch.below else _AT_LEAST,
            threshold=watch.limit,
            evaluation_periods=watch.periods,
            treat_missing_data=breaching if watch.silence_rings else not_breaching,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        return alarm
