"""`make redrive QUEUE=<url>`: send the events of a dead-letter queue back to the functions that failed them.

An event that a function failed is in the queue as a record of the asynchronous invocation (AWS Lambda, "Retaining
records of asynchronous invocations"), which holds the event. All other messages, such as events that EventBridge could
not deliver, stay in the queue: the sweep has long done what they were for.
"""

import argparse
import json
from typing import NamedTuple

import boto3

_INVISIBLE_SECONDS = 300  # the visibility timeout: longer than a run, so that it meets each message once
_BATCH = 10


class Redriven(NamedTuple):
    """How many messages were sent back, and how many were left in the queue."""

    sent: int
    left: int


def redrive(queue_url: str) -> Redriven:
    """Send back all that can be. A message is deleted when its function has taken the event, and not before."""
    sqs, functions = boto3.client("sqs"), boto3.client("lambda")
    sent = left = 0
    while messages := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=_INVISIBLE_SECONDS
    ).get("Messages"):
        for message in messages:
            record = json.loads(message["Body"])
            if "requestPayload" not in record:
                left += 1
                continue
            functions.invoke(
                FunctionName=record["requestContext"]["functionArn"],
                InvocationType="Event",
                Payload=json.dumps(record["requestPayload"]),
            )
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            sent += 1
            print(f"sent back to {record['requestContext']['functionArn']}", flush=True)
    return Redriven(sent, left)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queue_url", help="an output of the stack: PhotoDeadLettersUrl or SessionDeadLettersUrl")
    sent, left = redrive(parser.parse_args().queue_url)
    print(f"{sent} events sent back, {left} messages left")


if __name__ == "__main__":
    main()
