"""The network of functions where the database has no public address: an existing one, or our own."""

from typing import Literal, cast

from aws_cdk import Acknowledgment, ArnFormat, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.options import PrivateDatabase

POSTGRESQL = 5432

_ZONES = 2
_HTTPS = ec2.Port.tcp(443)

# Lambda's calls with the function's role, to attach the function to a VPC ("Giving Lambda functions access to
# resources in an Amazon VPC", AWS Lambda Developer Guide). EC2 cannot restrict the Describe actions to resources.
_CHANGE_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
_DESCRIBE = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")


class Network(Construct):
    """Subnets for functions, and the security group that limits their calls."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Network")
        self.functions: ec2.SecurityGroup
        self._subnet_ids: list[str]
        self._dual_stack: bool

    def attach(self, function: lambda_.Function) -> None:
        """Put the function into this network."""
        cfn_function = cast("lambda_.CfnFunction", function.node.default_child)
        cfn_function.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=self._subnet_ids,
            security_group_ids=[self.functions.security_group_id],
            ipv6_allowed_for_dual_stack=self._dual_stack,
        )
        if self._dual_stack:
            function.add_environment("AWS_USE_DUALSTACK_ENDPOINT", "true")  # IPv6 is the only way out
        function.node.add_dependency(self)  # and on its routes: a migration in the same deployment needs them
        _allow_interfaces(cast("iam.Role", function.role), str(cfn_function.function_name))

    def _use(self, vpc: ec2.IVpc, subnet_ids: list[str], *, dual_stack: bool) -> None:
        self._subnet_ids, self._dual_stack = subnet_ids, dual_stack
        self.functions = ec2.SecurityGroup(
            self, "Functions", vpc=vpc, description="Functions of After Hours", allow_all_outbound=False
        )
        self.functions.add_egress_rule(ec2.Peer.any_ipv4(), _HTTPS, "AWS and R2")
        if dual_stack:
            self.functions.add_egress_rule(ec2.Peer.any_ipv6(), _HTTPS, "AWS and R2")


class ExistingNetwork(Network):
    """The network of an existing database, whose security group is opened for the functions."""

    def __init__(self, scope: Construct, private: PrivateDatabase) -> None:
        super().__init__(scope)
        # The CDK requires availability zones, which are not used here.
        vpc = ec2.Vpc.from_vpc_attributes(self, "Vpc", vpc_id=private.vpc_id, availability_zones=["unknown"])
        self._use(vpc, list(private.subnet_ids), dual_stack=False)
        database = ec2.SecurityGroup.from_security_group_id(self, "Database", private.security_group_id)
        database.connections.allow_from(self.functions, ec2.Port.tcp(private.port), "Functions of After Hours")


class OwnNetwork(Network):
    """A dual-stack VPC in two availability zones: functions can call out, and the internet cannot call in.

    IPv6 leaves through an egress-only internet gateway, and S3 is reached through a gateway endpoint; both are free.
    `egress="nat"` adds a NAT gateway, in case a service lacks IPv6.
    """

    def __init__(
        self, scope: Construct, *, egress: Literal["ipv6", "nat"], zones: tuple[str, str] | None = None
    ) -> None:
        super().__init__(scope)
        nat = egress == "nat"
        subnets = [
            ec2.SubnetConfiguration(name="functions", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20),
            ec2.SubnetConfiguration(name="database", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24),
        ]
        if nat:
            subnets.append(ec2.SubnetConfiguration(name="nat", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=28))
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_protocol=ec2.IpProtocol.DUAL_STACK,
            max_azs=None if zones else _ZONES,
            availability_zones=list(zones) if zones else None,
            nat_gateways=1 if nat else 0,
            create_internet_gateway=nat,
            subnet_configuration=subnets,
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        )
        Validations.of(self.vpc).acknowledge(
            Acknowledgment(
                id="AwsSolutions-VPC7",
                reason="Nothing outside can call in, and each call out has a line in its function's log",
            )
        )
        self.database = ec2.SubnetSelection(subnet_group_name="database")
        functions = self.vpc.select_subnets(subnet_group_name="functions")
        self._use(self.vpc, list(functions.subnet_ids), dual_stack=not nat)


def _allow_interfaces(role: iam.Role, function_name: str) -> None:
    """Let Lambda attach the function to the network, and deny that to its code, whose calls have the function's ARN."""
    stack = Stack.of(role)
    interfaces = stack.format_arn(service="ec2", resource="*", resource_name="*")
    code = stack.format_arn(
        service="lambda", resource="function", resource_name=function_name, arn_format=ArnFormat.COLON_RESOURCE_NAME
    )
    role.add_to_policy(iam.PolicyStatement(actions=[*_CHANGE_INTERFACES], resources=[interfaces]))
    role.add_to_policy(iam.PolicyStatement(actions=[*_DESCRIBE], resources=["*"]))
    role.add_to_policy(
        iam.PolicyStatement(
            effect=iam.Effect.DENY,
            actions=[*_CHANGE_INTERFACES, *_DESCRIBE],
            resources=["*"],
            conditions={"ArnEquals": {"lambda:SourceFunctionArn": code}},
        )
    )
    for resource in ("arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:*/*", "*"):
        Validations.of(role).acknowledge(
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::{resource}]",
                reason="Lambda needs it to attach the function to a network, and the function's own code is denied it",
            )
        )
