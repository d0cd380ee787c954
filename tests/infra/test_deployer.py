"""What CloudFormation may do in our name: what CloudFormation itself says that it needs, and little else."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

from tests.support.synthesized import Synthesized

POLICY = json.loads(Path("ops/cloudformation-policy.json").read_text())
LONGEST = 6144  # of a managed policy, white space not counted
# What types of resources could also ask for, with properties that we do not use.
UNUSED_SERVICES = {"elasticfilesystem", "firehose", "s3files", "s3tables", "vpc-lattice", "vpce"}
UNUSED = {
    "ec2:AllocateIpamPoolCidr", "iam:ListRoles", "s3:ListAllMyBuckets", "s3:REST.PUT.OBJECT", "s3:getObject",
    "secretsmanager:GetSecretValue", "secretsmanager:RemoveRegionsFromReplication",
    "secretsmanager:ReplicateSecretToRegions", *(
        f"iam:{verb}{kind}Policy" for verb in ("Get", "Put", "Delete") for kind in ("User", "Group")
    ), "iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary",
}  # fmt: skip


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def asked_for(types: set[str]) -> Iterator[str]:
    """Yield what the handlers of these types need: CloudFormation's registry, as cfn-lint has it."""
    schemas = resources.files("cfnlint") / "data" / "schemas"
    known = json.loads((schemas / "providers" / "eu-west-1.json").read_text())
    for name in types:
        schema = json.loads((schemas / "resources" / f"{known[name]}.json").read_text())
        for handler in schema["handlers"].values():
            yield from handler.get("permissions", [])


def test_cloudformation_may_do_what_it_says_that_it_needs(aws: Synthesized, private: Synthesized) -> None:
    types = {
        resource["Type"] for synthesized in (aws, private) for resource in synthesized.template["Resources"].values()
    }
    allowed = [pattern for statement in POLICY["Statement"] for pattern in listed(statement["Action"])]
    needed = set(asked_for({name for name in types if name.startswith("AWS::")}))
    assert len(needed) > 300
    lacking = {
        action
        for action in needed - UNUSED
        if action.partition(":")[0] not in UNUSED_SERVICES
        and not any(fnmatchcase(action, pattern) for pattern in allowed)
    }
    assert lacking == set()


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


def test_what_is_named_is_within_its_reach(aws: Synthesized) -> None:
    reach = [arn for statement in POLICY["Statement"] for arn in listed(statement["Resource"]) if arn != "*"]
    names = [
        f"arn:aws:lambda:eu-west-1:1:function:{each['Properties']['FunctionName']}" for each in aws.functions.values()
    ]
    names += [
        f"arn:aws:cloudwatch:eu-west-1:1:alarm:{each['Properties']['AlarmName']}"
        for each in aws.resources("AWS::CloudWatch::Alarm").values()
    ]
    names += [
        f"arn:aws:logs:eu-west-1:1:log-group:{name}"
        for each in aws.resources("AWS::Logs::LogGroup").values()
        if (name := each["Properties"].get("LogGroupName"))
    ]
    assert [name for name in names if not any(fnmatchcase(name, pattern) for pattern in reach)] == []


def test_it_is_no_longer_than_iam_takes() -> None:
    assert len("".join(json.dumps(POLICY, separators=(",", ":")).split())) <= LONGEST
