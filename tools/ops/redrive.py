"""`make redrive QUEUE=<url>`: send the events of a dead-letter queue back to the functions that failed them.

An event that a function failed is in the queue as a record of the asynchronous invocation (AWS Lambda, "Retaining
records of asynchronous invocations"), which holds the event. All other messages, such as events that EventBridge could
not deliver, stay in the queue: the sweep has long done what they were for.
"""

import json
import sys
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.local.arguments import Arguments

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient
    from types_boto3_sqs import SQSClient

_INVISIBLE_SECONDS = 300  # the visibility timeout: longer than a run, so that it meets each message once
_BATCH = 10


def redrive(queue_url: str, sqs: "SQSClient", functions: "LambdaClient") -> tuple[int, int]:
    """Send back all that can be. A message is deleted when its function has taken the event, and not before.

    Returns how many messages were sent back, and how many stay in the queue.
    """
    sent = stay = 0
    while messages := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=_INVISIBLE_SECONDS
    ).get("Messages"):
        for message in messages:
            record = json.loads(message["Body"])
            if "requestPayload" not in record:
                stay += 1
                continue
            functions.invoke(
                FunctionName=record["requestContext"]["functionArn"],
                InvocationType="Event",
                Payload=json.dumps(record["requestPayload"]),
            )
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            sent += 1
            print(f"sent back to {record['requestContext']['functionArn']}", flush=True)
    return sent, stay


def main() -> None:
    parser = Arguments(__doc__)
    help_ = "an output of the stack: PhotoDeadLettersUrl or SessionDeadLettersUrl"
    parser.add_argument("queue_url", metavar="QUEUE", help=help_)
    queue_url = parser.parse_args().queue_url
    try:
        sent, stay = redrive(queue_url, boto3.client("sqs"), boto3.client("lambda"))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"AWS refuses calls for {queue_url}: {error}")
    print(f"{sent} events sent back, {stay} messages left")


if __name__ == "__main__":
    main()
