"""Dead-letter queues, and the number of retries before an event goes there."""

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_RETENTION = Duration.days(14)  # the longest that SQS offers


def dead_letter_queue(scope: Construct) -> sqs.Queue:
    """Make the dead-letter queue of the construct `scope`. `make redrive` sends its messages back."""
    queue = sqs.Queue(
        scope,
        "DeadLetters",
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=_RETENTION,
    )
    for rule in ("AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy"):
        Validations.of(queue).acknowledge(Acknowledgment(id=rule, reason="This is a dead-letter queue itself"))
    return queue


def limit_retries(
    function: lambda_.Function, *, max_age: Duration, retries: int, queue: sqs.IQueue | None = None
) -> None:
    """Set when Lambda stops retrying an asynchronous event, and the dead-letter queue to which the event then goes.

    The CDK's own option would also grant the function rights to inspect the queue, which it does not need.
    """
    lambda_.CfnEventInvokeConfig(
        function,
        "EventInvokeConfig",
        function_name=function.function_name,
        qualifier="$LATEST",
        maximum_event_age_in_seconds=max_age.to_seconds(),
        maximum_retry_attempts=retries,
        destination_config=_on_failure(queue) if queue else None,
    )
    if queue:
        function.add_to_role_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn]))


def _on_failure(queue: sqs.IQueue) -> lambda_.CfnEventInvokeConfig.DestinationConfigProperty:
    return lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
        on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=queue.queue_arn)
    )
