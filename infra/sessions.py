"""How a session ends by itself: one-shot schedules invoke expire_session, and a sweep runs every minute."""

from typing import cast

from aws_cdk import Acknowledgment, ArnFormat, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.dead_letters import dead_letter_queue, limit_retries
from infra.functions import Functions, function_name
from infra.stages import Stage

# Never rename this function: waiting schedules have its ARN, and would invoke a function that does not exist.
# A new name needs a second function beside this one, until the last schedule of the old one has fired (six hours).
_EXPIRE = "expire_session"
_SWEEP = "sweep"

_EVENT_AGE = Duration.minutes(5)  # by then the sweep has done the work
_RETRIES = 2
_BACKGROUND_TIMEOUT = Duration.seconds(60)  # no member waits, and a paused database takes 30 to respond


class Scheduling(Construct):
    """The group of our schedules, the role with which they invoke expire_session, and their dead letters."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Scheduling")
        stack = Stack.of(self)
        self.group_name = stack.stack_name
        # By name, since a reference would be circular: expire_session has this role's ARN in its environment, and the
        # role may invoke expire_session.
        self.expire_function_arn = stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=function_name(self, _EXPIRE),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        group = scheduler.ScheduleGroup(
            self, "Group", schedule_group_name=self.group_name, removal_policy=RemovalPolicy.DESTROY
        )
        self.dead_letters = dead_letter_queue(self)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": group.schedule_group_arn}
                },
            ),
        )
        self.role.add_to_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[self.expire_function_arn])
        )
        self.role.add_to_policy(
            iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.dead_letters.queue_arn])
        )

    def allow_putting(self, function: lambda_.Function) -> None:
        """Let the function create and update schedules of our group, and pass the role to them."""
        self._allow(function, "CreateSchedule", "UpdateSchedule")
        for name, value in {
            "SCHEDULER_ROLE_ARN": self.role.role_arn,
            "EXPIRE_FUNCTION_ARN": self.expire_function_arn,
            "SCHEDULE_DEAD_LETTER_ARN": self.dead_letters.queue_arn,
        }.items():
            function.add_environment(name, value)
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
            )
        )

    def allow_deleting(self, function: lambda_.Function) -> None:
        """Let the function delete schedules of our group."""
        self._allow(function, "DeleteSchedule")

    def allow_getting(self, function: lambda_.Function) -> None:
        """Let the function look up schedules of our group."""
        self._allow(function, "GetSchedule")

    def _allow(self, function: lambda_.Function, *actions: str) -> None:
        function.add_environment("SCHEDULE_GROUP", self.group_name)
        _allow_on_schedules(
            function,
            [f"scheduler:{action}" for action in actions],
            f"{self.group_name}/*",
            reason="Schedules are named after sessions, which come and go; the group holds nothing else",
        )


def _allow_on_schedules(function: lambda_.Function, actions: list[str], schedules: str, *, reason: str) -> None:
    """Grant the actions on a `<group>/<name>` pattern of schedules, and explain its wildcard to cdk-nag."""
    arn = Stack.of(function).format_arn(service="scheduler", resource="schedule", resource_name=schedules)
    function.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[arn]))
    written_by_nag = f"arn:<AWS::Partition>:scheduler:<AWS::Region>:<AWS::AccountId>:schedule/{schedules}"
    Validations.of(cast("iam.Role", function.role)).acknowledge(
        Acknowledgment(id=f"AwsSolutions-IAM5[Resource::{written_by_nag}]", reason=reason)
    )


class Sessions(Construct):
    """The two functions that end sessions, their retries, and the clock of the sweep."""

    def __init__(self, scope: Construct, *, functions: Functions, scheduling: Scheduling, stage: Stage) -> None:
        super().__init__(scope, "Sessions")
        self.expire = functions.make(_EXPIRE, timeout=_BACKGROUND_TIMEOUT)
        scheduling.allow_putting(self.expire)  # it moves the schedule of a session that was extended meanwhile
        # The schedules put events there that do not reach the function; this adds events on which the function fails.
        limit_retries(self.expire, max_age=_EVENT_AGE, retries=_RETRIES, queue=scheduling.dead_letters)

        self.sweep = functions.make(_SWEEP, timeout=_BACKGROUND_TIMEOUT)
        scheduling.allow_putting(self.sweep)
        scheduling.allow_deleting(self.sweep)
        scheduling.allow_getting(self.sweep)
        # The next sweep is the retry of one that failed, so it has neither retries nor dead letters of its own.
        limit_retries(self.sweep, max_age=Duration.minutes(1), retries=0)
        Validations.of(self.sweep).acknowledge(
            Acknowledgment(
                id="Serverless-LambdaAsyncFailureDestination",
                reason="The next sweep does what this one did not, and an alarm rings when sweeps fail",
            )
        )
        events.Rule(
            self,
            "Clock",
            description="Invokes the sweep, the safety net below the schedules",
            schedule=events.Schedule.rate(Duration.minutes(stage.sweep_minutes)),
            targets=[
                targets.LambdaFunction(
                    self.sweep,
                    dead_letter_queue=scheduling.dead_letters,  # for events that EventBridge cannot deliver
                    max_event_age=_EVENT_AGE,
                    retry_attempts=_RETRIES,
                )
            ],
        )
