"""What CloudFormation may do in our name: what CloudFormation itself says that it needs, and little else."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

POLICY = json.loads(Path("tools/ops/cloudformation-policy.json").read_text())
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

STAGES = ["aws", "staging", "dev", "private", "public", "rare"]


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def asked_for(types: set[str]) -> Iterator[str]:
    """Yield what the handlers of these types need: CloudFormation's registry, as cfn-lint has it.

    Some of what it lists are calls of the API, which IAM has no action for.
    """
    data = resources.files("cfnlint") / "data"
    actions = json.loads(
        (data / "AdditionalSpecs" / "Policies.json").read_text()
    )  # the Service Authorization Reference
    known = json.loads((data / "schemas" / "providers" / "eu-west-1.json").read_text())
    for name in types:
        schema = json.loads((data / "schemas" / "resources" / f"{known[name]}.json").read_text())
        for handler in schema["handlers"].values():
            for action in handler.get("permissions", []):
                service, _, verb = action.partition(":")
                if verb.lower() in actions.get(service.lower(), {"Actions": ()})["Actions"]:
                    yield f"{service.lower()}:{verb}"


def is_allowed(action: str, arn: str | None = None, *, conditions: bool = True) -> bool:
    """Whether a statement has the action, and the ARN if there is one; with `conditions`, also under conditions."""
    return any(
        (conditions or "Condition" not in statement)
        and any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and (arn is None or any(fnmatchcase(arn, pattern) for pattern in listed(statement["Resource"])))
        for statement in POLICY["Statement"]
    )


def test_cloudformation_may_do_what_it_says_that_it_needs(request: pytest.FixtureRequest) -> None:
    templates = [request.getfixturevalue(stage).template for stage in STAGES]
    types = {each["Type"] for template in templates for each in template["Resources"].values()}
    asked = set(asked_for({name for name in types if name.startswith("AWS::")}))
    needed = {action for action in asked - UNUSED if action.partition(":")[0] not in UNUSED_SERVICES}
    assert len(needed) > 200
    assert sorted(action for action in needed if not is_allowed(action)) == []


@pytest.mark.parametrize("stage", STAGES)
def test_names_begin_as_the_policy_has_them(request: pytest.FixtureRequest, stage: str) -> None:
    """What has no name gets the stack's from CloudFormation, but a layer and a secret that of their logical ids."""
    found = []
    for logical_id, resource in request.getfixturevalue(stage).template["Resources"].items():
        *_, kind = resource["Type"].split("::")
        if kind in {"LayerVersion", "Secret"}:
            found.append(logical_id)
        elif kind not in {"Alias", "DeploymentGroup", "Policy", "Stage"}:  # parts of another
            names = (resource["Properties"].get(key) for key in ("Name", f"{kind}Name"))
            found += [json.dumps(name) for name in names if name]
    assert len(found) > 20
    # The log group of a cluster is named after a reference to it.
    begins = re.compile(r'Functions|Secrets|.*"(/aws/\w+/(\w+/)?)?(AfterHours-|afterhours-|", \{"Ref": "Cluster)')
    assert [name for name in found if not begins.match(name)] == []


# What has stopped deployments: the default groups, which RDS checks as well, and the copies that AWS Backup names.
@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("rds:CreateDBCluster", "og:default:aurora-postgresql-17"),
        ("rds:CreateDBInstance", "pg:default.aurora-postgresql17"),
        ("rds:RestoreDBClusterFromSnapshot", "cluster-snapshot:afterhours-prod-restored"),
        ("rds:RestoreDBClusterFromSnapshot", "cluster-snapshot:awsbackup:copyjob-1"),
    ],
)
def test_cloudformation_may_use_what_no_template_names(action: str, name: str) -> None:
    assert is_allowed(action, f"arn:aws:rds:eu-west-1:1:{name}")


def test_cloudformation_calls_kms_itself_about_the_key() -> None:
    """Without kms:DescribeKey a first deployment that fails could not delete its key."""
    needed = set(asked_for({"AWS::KMS::Key"})) - UNUSED
    assert sorted(action for action in needed if not is_allowed(action, "*", conditions=False)) == []


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
