"""The probe: every five minutes a function calls the API from the internet, as a phone would."""

from pathlib import Path

from aws_cdk import Acknowledgment, Duration, Stack, Validations
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.log_groups import log_group
from infra.metrics import NAMESPACE
from infra.stages import Stage

_CODE = Path(__file__).with_name("index.py")
_MEMORY_MB = 256
_TIMEOUT = Duration.seconds(30)
_EVERY = Duration.minutes(5)


class Probe(Construct):
    """The function, outside our network, and its clock. Its code needs only the packages of Lambda's runtime."""

    def __init__(self, scope: Construct, *, stage: Stage, url: str, bus: events.EventBus) -> None:
        super().__init__(scope, "Probe")
        logs = log_group(self, "Logs", stage)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        logs.grant_write(role)
        role.add_to_policy(iam.PolicyStatement(actions=["events:DescribeEventBus"], resources=[bus.event_bus_arn]))
        function = lambda_.Function(
            self,
            "Function",
            architecture=lambda_.Architecture.ARM_64,
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline(_CODE.read_text()),
            environment={
                "PROBED_URL": url,
                "EVENT_BUS": bus.event_bus_name,
                "METRICS_NAMESPACE": NAMESPACE,
                "METRICS_SERVICE": Stack.of(self).stack_name,
            },
            memory_size=_MEMORY_MB,
            timeout=_TIMEOUT,
            role=role,
            log_group=logs,
            logging_format=lambda_.LoggingFormat.JSON,
        )
        clock = events.Rule(
            self,
            "Clock",
            description="Invokes the probe, whose silence rings",
            schedule=events.Schedule.rate(_EVERY),
            targets=[targets.LambdaFunction(function, retry_attempts=0)],
        )
        Validations.of(clock).acknowledge(
            Acknowledgment(
                id="Serverless-EventBusDLQ", reason="An event that is lost is what the alarm rings for, by its silence"
            )
        )
