"""How a dead-letter queue of ours is made: the last stop of events that were tried and given up."""

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_KEPT = Duration.days(14)  # the longest that SQS offers


def dead_letter_queue(scope: Construct) -> sqs.Queue:
    """Make the dead-letter queue of what `scope` is about. `make redrive` sends back what it holds."""
    queue = sqs.Queue(
        scope,
        "DeadLetters",
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=_KEPT,
    )
    Validations.of(queue).acknowledge(
        Acknowledgment(id="AwsSolutions-SQS3", reason="This is a dead-letter queue itself")
    )
    return queue
