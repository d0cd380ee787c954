"""A queue that hears everything on the event bus, as a chat or push service would."""

import json
from collections.abc import Callable
from typing import Any


def subscribe(client: Callable[[str], Any], bus: str, name: str) -> str:
    """Make a queue, and a rule that sends it all our events, both of this name. Return the queue's URL.

    `client` makes the boto3 client of a service.
    """
    sqs, events = client("sqs"), client("events")
    queue: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["after-hours"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": arn}])
    return queue


def unsubscribe(client: Callable[[str], Any], bus: str, name: str, queue: str) -> None:
    """Delete the rule and the queue."""
    sqs, events = client("sqs"), client("events")
    events.remove_targets(Rule=name, EventBusName=bus, Ids=[name])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=queue)
