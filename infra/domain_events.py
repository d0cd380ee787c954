"""The event bus for chat and push services."""

from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.functions import function_name


class DomainEvents(Construct):
    """The event bus. Other services put rules on it, in stacks of their own."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "DomainEvents")
        self.bus = events.EventBus(
            self,
            "Bus",
            event_bus_name=function_name(self, "events"),
            description="Sessions and photos of After Hours: docs/domain-events.md",
        )

    def allow_publishing(self, function: lambda_.Function) -> None:
        self.bus.grant_put_events_to(function)
        function.add_environment("EVENT_BUS", self.bus.event_bus_name)
