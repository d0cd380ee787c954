"""Makes log groups, which have the stage's retention and are deleted with the stack."""

from typing import Literal

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stages import Stage

_RETENTION = {
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
}


def log_group(
    scope: Construct, construct_id: str, stage: Stage, *, name: str | None = None, days: Literal[14] | None = None
) -> logs.LogGroup:
    """Make a log group with the retention of the stage or of `days`. Without a name, CloudFormation makes one."""
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        retention=_RETENTION[days or stage.log_days],
        removal_policy=RemovalPolicy.DESTROY,
    )
