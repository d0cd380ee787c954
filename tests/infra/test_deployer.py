"""What CloudFormation may do in our name: what CloudFormation itself says that it needs, and little else."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from infra.rights import readable
from tests.support.synthesized import Synthesized

POLICY = json.loads(Path("tools/ops/cloudformation-policy.json").read_text())
RUNBOOK = Path("docs/operations.md").read_text()
LONGEST = 6144  # of a managed policy, white space not counted
# What types of resources could also ask for, with properties that we do not use.
UNUSED_SERVICES = {
    "billing",
    "elasticfilesystem",
    "firehose",
    "organizations",
    "s3files",
    "s3tables",
    "vpc-lattice",
    "vpce",
}
UNUSED = {
    "codedeploy:RegisterOnPremisesInstance", "ec2:AllocateIpamPoolCidr", "ec2:AttachVpnGateway", "ec2:DetachVpnGateway",
    "events:PutPermission", "events:RemovePermission", "iam:DeleteRolePermissionsBoundary", "iam:ListRoles",
    "iam:PutRolePermissionsBoundary", "lambda:PassCapacityProvider",
    "logs:DeleteIndexPolicy", "logs:PutIndexPolicy", "s3:DeleteObject", "s3:ListAllMyBuckets",
    "s3:PutObjectAcl", "s3:getObject",
    "secretsmanager:GetSecretValue", "secretsmanager:RemoveRegionsFromReplication",
    "secretsmanager:ReplicateSecretToRegions", *(
        f"iam:{verb}{kind}Policy" for verb in ("Get", "Put", "Delete") for kind in ("User", "Group")
    ),
}  # fmt: skip

# What a resource is in the Service Authorization Reference, and how the properties name it. Where they do not,
# CloudFormation names the resource after the stack and its logical id, a layer or a secret after its id alone.
NAMED = {
    "AWS::Budgets::Budget": ("budgets:budget", "{BudgetName}"),
    "AWS::CloudTrail::Trail": ("cloudtrail:trail", "{TrailName}"),
    "AWS::CloudWatch::Alarm": ("cloudwatch:alarm", "{AlarmName}"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch:dashboard", "{DashboardName}"),
    "AWS::CodeDeploy::Application": ("codedeploy:application", "{ApplicationName}"),
    "AWS::CodeDeploy::DeploymentGroup": ("codedeploy:deploymentgroup", "{ApplicationName}/{DeploymentGroupName}"),
    "AWS::Events::EventBus": ("events:event-bus", "{Name}"),
    "AWS::Events::Rule": ("events:rule-on-default-event-bus", "{Name}"),
    "AWS::IAM::Role": ("iam:role", "{RoleName}"),
    "AWS::Lambda::Function": ("lambda:function", "{FunctionName}"),
    "AWS::Lambda::LayerVersion": ("lambda:layer", "{LayerName}"),
    "AWS::Logs::LogGroup": ("logs:log-group", "{LogGroupName}"),
    "AWS::RDS::DBCluster": ("rds:cluster", "{DBClusterIdentifier}"),
    "AWS::RDS::DBClusterParameterGroup": ("rds:cluster-pg", "{DBClusterParameterGroupName}"),
    "AWS::RDS::DBInstance": ("rds:db", "{DBInstanceIdentifier}"),
    "AWS::RDS::DBSubnetGroup": ("rds:subgrp", "{DBSubnetGroupName}"),
    "AWS::S3::Bucket": ("s3:bucket", "{BucketName}"),
    "AWS::Scheduler::ScheduleGroup": ("scheduler:schedule-group", "{Name}"),
    "AWS::SecretsManager::Secret": ("secretsmanager:secret", "{Name}"),
    "AWS::SNS::Topic": ("sns:topic", "{TopicName}"),
    "AWS::SQS::Queue": ("sqs:queue", "{QueueName}"),
}
NAMED_AFTER_ITS_ID = {"AWS::Lambda::LayerVersion", "AWS::SecretsManager::Secret"}
IN_SMALL_LETTERS = {"rds", "s3"}
# What is named after another.
PARTS = {
    "lambda:function": {"lambda:function alias": "{}:live", "lambda:function version": "{}:1"},
    "lambda:layer": {"lambda:layerversion": "{}:1"},
    "scheduler:schedule-group": {"scheduler:schedule": "{}/expire-1"},
}
# What no template names: defaults, which RDS checks as well, and where the CDK publishes code.
ELSEWHERE = {
    "rds:og": ["default:aurora-postgresql-17"],
    "rds:pg": ["default.aurora-postgresql17"],
    "s3:object": ["cdk-hnb659fds-assets-1-eu-west-1/code.zip"],
}
# What an action can be about, and is not here.
NOT_MEANT = {"rds:global-cluster", "rds:secgrp", "rds:snapshot", "s3:accesspoint", "s3:accesspointobject"}
MADE_FOR_SERVICES = "iam:CreateServiceLinkedRole"


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@cache
def reference() -> Any:
    """The Service Authorization Reference: actions, and the types of resources that each is about."""
    return json.loads((resources.files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json").read_text())


def asked_for(types: set[str]) -> Iterator[str]:
    """Yield what the handlers of these types need: CloudFormation's registry, as cfn-lint has it.

    Some of what it lists are calls of the API, which IAM has no action for.
    """
    schemas = resources.files("cfnlint") / "data" / "schemas"
    known = json.loads((schemas / "providers" / "eu-west-1.json").read_text())
    for name in types:
        schema = json.loads((schemas / "resources" / f"{known[name]}.json").read_text())
        for handler in schema["handlers"].values():
            for action in handler.get("permissions", []):
                service, _, verb = action.partition(":")
                if verb.lower() in reference().get(service.lower(), {"Actions": ()})["Actions"]:
                    yield f"{service.lower()}:{verb}"


def names(synthesized: Synthesized) -> dict[str, list[str]]:
    """Type in the reference → names of the resources of it that the template, RDS and the runbook have."""
    found = {kind: [*each] for kind, each in ELSEWHERE.items()}
    for logical_id, resource in synthesized.template["Resources"].items():
        if resource["Type"] in NAMED:
            kind, _ = NAMED[resource["Type"]]
            name = name_of(synthesized, logical_id)
            found.setdefault(kind, []).append(name)
            for part, pattern in PARTS.get(kind, {}).items():
                found.setdefault(part, []).append(pattern.format(name))
    if "rds:cluster" in found:
        own = f"{synthesized.stack.stack_name}-snapshot-ClusterDatabase-1AB2C3".lower()  # when a cluster is deleted
        found["rds:cluster-snapshot"] = [own, *re.findall(r"--db-cluster-snapshot-identifier ([\w-]+)", RUNBOOK)]
    return found


def name_of(synthesized: Synthesized, logical_id: str) -> str:
    resource = synthesized.template["Resources"][logical_id]
    kind, pattern = NAMED[resource["Type"]]
    try:
        name = pattern.format_map({key: part_of(value) for key, value in resource["Properties"].items()})
    except KeyError:
        stack = [] if resource["Type"] in NAMED_AFTER_ITS_ID else [synthesized.stack.stack_name]
        name = "-".join([*stack, logical_id, "1AB2C3"])
    name = re.sub(r"<(\w+)>", lambda match: name_of(synthesized, match[1]), name.replace("<AWS::AccountId>", "1"))
    return name.lower() if kind.partition(":")[0] in IN_SMALL_LETTERS else name


def part_of(value: Any) -> str:
    try:
        return readable(value)
    except ValueError:
        return "no name"


def pairs(synthesized: Synthesized) -> set[tuple[str, str]]:
    """Each action that the template needs, with each ARN that it is about; `*` where it is about none."""
    types = {resource["Type"] for resource in synthesized.template["Resources"].values()}
    named = names(synthesized)
    return {
        (action, arn)
        for action in set(asked_for({name for name in types if name.startswith("AWS::")}))
        - UNUSED
        - {MADE_FOR_SERVICES}
        if action.partition(":")[0] not in UNUSED_SERVICES
        for arn in about(action, named)
    }


def about(action: str, named: dict[str, list[str]]) -> Iterator[str]:
    service, _, verb = action.partition(":")
    known = reference()[service]
    kinds = {f"{service}:{kind.lower()}" for kind in known["Actions"][verb.lower()].get("Resources", [])} - NOT_MEANT
    if not kinds:
        yield "*"
    for kind in kinds & named.keys() or kinds:
        for pattern in known["Resources"][kind.partition(":")[2]]["ARNFormats"]:
            arn = pattern.replace("${Partition}", "aws").replace("${Region}", "eu-west-1").replace("${Account}", "1")
            for name in named.get(kind, ["0a1b2c3d"]):
                yield arn.replace(".*", name)


def is_allowed(action: str, arn: str, *, conditions: bool = True) -> bool:
    """Whether a statement has both. One with a condition counts unless `conditions` is false."""
    return any(
        (conditions or "Condition" not in statement)
        and any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(arn, pattern) for pattern in listed(statement["Resource"]))
        for statement in POLICY["Statement"]
    )


@pytest.mark.parametrize("stage", ["aws", "staging", "dev", "private", "public", "rare"])
def test_cloudformation_may_do_what_it_says_that_it_needs(request: pytest.FixtureRequest, stage: str) -> None:
    needed = pairs(request.getfixturevalue(stage))
    assert len(needed) > 300
    assert sorted(pair for pair in needed if not is_allowed(*pair)) == []


def test_cloudformation_calls_kms_itself_about_the_key() -> None:
    """Without kms:DescribeKey a first deployment that fails could not delete its key."""
    needed = set(asked_for({"AWS::KMS::Key"})) - UNUSED
    assert sorted(action for action in needed if not is_allowed(action, "*", conditions=False)) == []


def test_what_rds_and_the_runbook_name_is_looked_for(rare: Synthesized) -> None:
    """The pairs that stopped deployments."""
    needed = pairs(rare)
    arn = "arn:aws:rds:eu-west-1:1"
    assert ("rds:CreateDBCluster", f"{arn}:og:default:aurora-postgresql-17") in needed
    assert ("rds:CreateDBInstance", f"{arn}:pg:default.aurora-postgresql17") in needed
    assert ("rds:RestoreDBClusterFromSnapshot", f"{arn}:cluster-snapshot:afterhours-prod-restored") in needed
    # AWS Backup names its copies itself.
    assert is_allowed("rds:RestoreDBClusterFromSnapshot", f"{arn}:cluster-snapshot:awsbackup:copyjob-1")


@pytest.mark.parametrize("service", ["rds", "ops.apigateway"])
def test_services_may_make_their_own_roles(service: str) -> None:
    assert is_allowed(MADE_FOR_SERVICES, f"arn:aws:iam::1:role/aws-service-role/{service}.amazonaws.com/AWSServiceRole")


def test_it_may_not_read_secrets_nor_hand_on_other_roles() -> None:
    for statement in POLICY["Statement"]:
        actions = listed(statement["Action"])
        assert "*" not in actions
        assert not any(fnmatchcase("secretsmanager:GetSecretValue", action) for action in actions)
        if any(action.startswith("iam:") for action in actions):
            assert all(
                ":role/AfterHours-*" in arn or "/aws-service-role/" in arn for arn in listed(statement["Resource"])
            )
    [passing] = [each for each in POLICY["Statement"] if "iam:PassRole" in listed(each["Action"])]
    assert "iam:PassedToService" in passing["Condition"]["StringEquals"]


def test_it_is_no_longer_than_iam_takes() -> None:
    assert len("".join(json.dumps(POLICY, separators=(",", ":")).split())) <= LONGEST
