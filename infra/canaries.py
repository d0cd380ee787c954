"""Canary deployments of the busiest functions: new code gets a tenth of the calls, and is rolled back on 5xx."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

FUNCTIONS = ("start_session", "get_session")

_A_TENTH_FIRST = codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_10_MINUTES


def live_alias(function: lambda_.Function) -> lambda_.Alias:
    """Make the alias that API Gateway calls; CodeDeploy shifts it from one version to the next."""
    return lambda_.Alias(function, "Live", alias_name="live", version=function.current_version)


class Canaries(Construct):
    """One deployment group for each alias. `alarms`, by the functions' names, roll a deployment back."""

    def __init__(
        self, scope: Construct, *, aliases: Mapping[str, lambda_.Alias], alarms: Mapping[str, cloudwatch.IAlarm]
    ) -> None:
        super().__init__(scope, "Canaries")
        application = codedeploy.LambdaApplication(self, "Application", application_name=Stack.of(self).stack_name)
        role = self._role(aliases)
        for name, alias in aliases.items():
            codedeploy.LambdaDeploymentGroup(
                self,
                name,
                application=application,
                deployment_group_name=name,
                alias=alias,
                deployment_config=_A_TENTH_FIRST,
                alarms=[alarms[name]],
                role=role.without_policy_updates(),  # the CDK would give it rights on every function of the account
            )
            alias.node.add_dependency(role)

    def _role(self, aliases: Mapping[str, lambda_.Alias]) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("codedeploy.amazonaws.com"))
        functions = [alias.lambda_.function_arn for alias in aliases.values()]
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"],
                resources=[arn for function in functions for arn in (function, f"{function}:live")],
            )
        )
        role.add_to_policy(iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=["*"]))
        Validations.of(role).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Resource::*]",
                reason="CloudWatch allows describing all alarms or none, and CodeDeploy describes those of its groups",
            )
        )
        return role
