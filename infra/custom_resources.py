"""Log groups of the functions that the CDK adds for custom resources: one starts migrations, one empties buckets."""

from typing import cast

from aws_cdk import CfnResource, CustomResourceProviderBase, Stack
from aws_cdk import aws_iam as iam

from infra.log_groups import log_group
from infra.stages import Stage


def limit_log_groups(stack: Stack, stage: Stage) -> None:
    """Give each of these functions a log group with the stage's retention, and the right to write to that alone.

    Their default log groups have no retention, and their default roles may write to every log group.
    """
    for provider in stack.node.children:
        if not isinstance(provider, CustomResourceProviderBase):
            continue
        handler = cast("CfnResource", provider.node.find_child("Handler"))
        role = cast("CfnResource", provider.node.find_child("Role"))
        logs = log_group(provider, "Logs", stage)
        handler.add_property_override("LoggingConfig", {"LogGroup": logs.log_group_name})
        role.add_property_deletion_override("ManagedPolicyArns")
        writing = iam.CfnPolicy(
            provider,
            "Writing",
            policy_name="Writing",
            roles=[role.ref],
            policy_document=iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[logs.log_group_arn]
                    )
                ]
            ),
        )
        handler.add_resource_dependency(writing)
