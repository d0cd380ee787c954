"""Promises of the stack as a whole."""

import json
import os
import re
import subprocess
from typing import Any

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks, ServerlessChecks
from cfnlint import api as cfn_lint
from cfnlint.config import ManualArgs

from infra.rights import readable
from tests.support.environment import UNREACHABLE
from tests.support.synthesized import APP_DATABASE_SECRET_ARN, DATABASE_SECRET_ARN, Synthesized

STAGES = ["aws", "private", "dev", "local"]
SET_ASIDE = {
    *(f"AwsSolutions-{rule}" for rule in ("APIG4", "IAM5", "L1", "RDS10", "RDS11", "S1", "SMG4", "SQS3", "VPC7")),
    "Serverless-EventBusDLQ", "Serverless-LambdaAsyncFailureDestination", "Serverless-LambdaDLQ",
    "Serverless-LambdaLatestVersion",
    "Serverless-LambdaTracing", "Serverless-SNSRedrivePolicy", "Serverless-SQSRedrivePolicy",
}  # fmt: skip

# What the table of stages says, by the name that CloudFormation has for it.
SAID_BY_THE_STAGE = {
    "Architectures", "CompatibleArchitectures", "RetentionInDays", "ReservedConcurrentExecutions", "TracingConfig",
    "ThrottlingRateLimit", "ThrottlingBurstLimit",
}  # fmt: skip
# The network, the database in it, and what attaches a function to them.
NETWORK_AND_CLUSTER = re.compile(r"AWS::(EC2|RDS)::")
ATTACHING = re.compile(r"ec2:|rds-db:|kms:")
ATTACHED = {"VpcConfig", "AWS_USE_DUALSTACK_ENDPOINT"}
# The outputs that `make sql` needs.
FOR_PEOPLE = {"DatabaseClusterArn", "DatabaseSecretArn"}
# The function that empties the upload bucket, which does not run on the local AWS, and what belongs to it.
EMPTYING = "AutoDeleteObjects"
# What only people look at: the local AWS saves no queries, has no arithmetic in alarms, and nobody is sent mail.
LOOKING = re.compile(r"Alarms|Queries|Dashboard|Budget|FunctionsProbe|SqlUse|SecretsLocationPolicy")
# What moves calls from one version to the next, which the local AWS cannot.
MOVING = re.compile(r"Canaries|AlarmsCanary|Functions(startsession|getsession)FunctionCurrentVersion")


def comparable(template: dict[str, Any]) -> dict[str, Any]:
    """The template without its network, its database and what its stage says."""
    left_out = {
        name
        for name, resource in template["Resources"].items()
        if NETWORK_AND_CLUSTER.match(resource["Type"])
        or name.startswith("Cluster")
        or EMPTYING in name
        or LOOKING.match(name)
        or MOVING.match(name)
    }
    left_out |= set(template.get("Mappings", {}))  # of the cluster's windows
    aliased = {
        name: alias["Properties"]["FunctionName"]["Ref"]
        for name, alias in template["Resources"].items()
        if alias["Type"] == "AWS::Lambda::Alias"
    }
    text = json.dumps(_without(template, left_out | set(aliased)), sort_keys=True)
    for alias, function in aliased.items():
        text = text.replace(json.dumps({"Ref": alias}), json.dumps({"Fn::GetAtt": [function, "Arn"]}))
    text = re.sub(r"[aA]fter[hH]ours-(prod|local)", "AfterHours-<stage>", text)
    text = re.sub(r"AllowEventRule\w+", "AllowEventRule<stage>", text)
    text = re.sub(r"[0-9a-f]{64}\.zip", "<archive>", text)  # a key of code, which is built for the platform
    text = re.sub(r"CurrentVersion\w+", "<version>", text)  # named after its content
    same: dict[str, Any] = json.loads(text)
    return same


def _without(value: Any, names: set[str]) -> Any:
    """Leave out what is, or is about, the resources of these names."""
    if isinstance(value, dict):
        kept = {
            key: _without(part, names)
            for key, part in value.items()
            if not _is_left_out(key, names) and not (key == "Resource" and _is_about(part, names))
        }
        if isinstance(resources := kept.get("Resource"), list) and len(resources) == 1:
            kept["Resource"] = resources[0]
        return {key: part for key, part in kept.items() if part not in ([], {})}
    if isinstance(value, list):
        kept_parts = [_without(part, names) for part in value if not _is_about(part, names)]
        return [part for part in kept_parts if not _grants_nothing(part)]
    return value


def _is_left_out(key: str, names: set[str]) -> bool:
    return key in names | SAID_BY_THE_STAGE | ATTACHED | FOR_PEOPLE or key.startswith("DATABASE_")


def _is_about(part: Any, names: set[str]) -> bool:
    match part:
        case {"Action": actions}:
            return bool(ATTACHING.match(actions[0] if isinstance(actions, list) else actions)) or EMPTYING in str(part)
        case {"Key": "aws-cdk:auto-delete-objects"}:
            return True
        case {"Fn::GetAtt": [name, *_]} | str(name):
            return name in names or name in {DATABASE_SECRET_ARN, APP_DATABASE_SECRET_ARN}
    return False


def _grants_nothing(part: Any) -> bool:
    return isinstance(part, dict) and "Action" in part and "Resource" not in part


def test_prod_less_its_network_and_cluster_is_the_local_stack(aws: Synthesized, local: Synthesized) -> None:
    prod, here = comparable(aws.template), comparable(local.template)
    assert prod["Resources"].keys() == here["Resources"].keys()
    for name in here["Resources"]:
        assert prod["Resources"][name] == here["Resources"][name], name
    assert prod == here


def test_outputs(aws: Synthesized) -> None:
    assert set(aws.template["Outputs"]) == {
        "ApiUrl", "ApiId", "JwtSecretArn", "LocationSecretArn", "R2SecretArn", "ScheduleGroup", "EventBus",
        "UploadBucket",
        "SessionDeadLettersUrl", "PhotoDeadLettersUrl", "FunctionNamePrefix", "DatabaseClusterArn", "DatabaseSecretArn",
    }  # fmt: skip
    assert aws.template["Outputs"]["FunctionNamePrefix"]["Value"] == "AfterHours-prod-"


def test_the_location_key_is_generated_and_outlives_the_stack(aws: Synthesized) -> None:
    [secret] = [
        secret
        for secret in aws.resources("AWS::SecretsManager::Secret").values()
        if "GenerateSecretString" in secret["Properties"]
    ]
    assert secret["DeletionPolicy"] == "RetainExceptOnCreate"
    assert secret["UpdateReplacePolicy"] == "Retain"
    assert secret["Properties"]["GenerateSecretString"]["GenerateStringKey"] == "locationKey"
    assert secret["Properties"]["GenerateSecretString"]["PasswordLength"] >= 32


def test_nobody_writes_the_location_key_but_cloudformation_and_one_role(aws: Synthesized, local: Synthesized) -> None:
    [(name, _)] = [
        (name, secret)
        for name, secret in aws.resources("AWS::SecretsManager::Secret").items()
        if "GenerateSecretString" in secret["Properties"]
    ]
    [policy] = [each["Properties"] for each in aws.resources("AWS::SecretsManager::ResourcePolicy").values()]
    assert policy["SecretId"] == {"Ref": name}
    [denied] = policy["ResourcePolicy"]["Statement"]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", {"AWS": "*"})
    assert {
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecret",
        "secretsmanager:DeleteSecret",
        "secretsmanager:UpdateSecretVersionStage",
        "secretsmanager:RotateSecret",
        "secretsmanager:PutResourcePolicy",
        "secretsmanager:DeleteResourcePolicy",
    } <= set(denied["Action"])
    assert "secretsmanager:GetSecretValue" not in denied["Action"], "functions read it"
    [(key, roles)] = denied["Condition"]["ArnNotEquals"].items()
    assert key == "aws:PrincipalArn"
    assert [readable(role).rpartition(":role/")[2] for role in roles] == [
        "AfterHours-prod-location-key", "cdk-hnb659fds-cfn-exec-role-<AWS::AccountId>-<AWS::Region>",
    ]  # fmt: skip
    assert not local.resources("AWS::SecretsManager::ResourcePolicy"), "the local AWS has none"


def test_what_ops_put_in_is_never_written_over(aws: Synthesized) -> None:
    """CloudFormation writes a secret's text when it changes in the template: it must say what it has always said."""
    secrets = aws.resources("AWS::SecretsManager::Secret").values()
    given = [secret["Properties"] for secret in secrets if "GenerateSecretString" not in secret["Properties"]]
    assert [secret["SecretString"] for secret in given] == ["{}", "{}"]


def test_migrations_run_before_any_function_or_route_is_touched(aws: Synthesized) -> None:
    [migration] = aws.resources("Custom::Trigger")
    waiting = [
        *(function for name, function in aws.functions.items() if name != "migrate_database"),
        *aws.resources("AWS::ApiGatewayV2::Route").values(),
        *aws.resources("AWS::ApiGatewayV2::Stage").values(),
        *(rule for name, rule in aws.resources("AWS::Events::Rule").items() if name.startswith("Sessions")),
        *(bucket for name, bucket in aws.resources("AWS::S3::Bucket").items() if not name.startswith("SqlUse")),
    ]
    assert all(migration in resource["DependsOn"] for resource in waiting)
    assert (aws.code("migrate_database") / "migrations" / "env.py").exists()


def test_a_failed_migration_fails_the_deployment(aws: Synthesized) -> None:
    """An invocation that is waited for: the trigger then answers CloudFormation with the handler's error."""
    [migration] = aws.resources("Custom::Trigger").values()
    assert migration["Properties"]["InvocationType"] == "RequestResponse"


@pytest.mark.parametrize(("stage", "built"), [("prod", "aws"), ("local", "local")])
def test_make_synth_needs_no_network_and_warns_of_nothing(
    request: pytest.FixtureRequest, stage: str, built: str
) -> None:
    request.getfixturevalue(built)  # what its layers hold is downloaded once
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), UNREACHABLE)
    done = subprocess.run(
        ["make", "synth", f"STAGE={stage}", "ALARM_EMAIL=ops@example.com"],
        capture_output=True, text=True, check=False, env=os.environ | nowhere,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"cdk.out/AfterHours-{stage}.template.json" in done.stdout
    assert not re.findall(r"^.*(?:WARNING|rror\b).*", done.stderr, re.MULTILINE)


@pytest.mark.parametrize("rules", [AwsSolutionsChecks, ServerlessChecks])
@pytest.mark.parametrize("stage", STAGES)
def test_cdk_nag_has_no_complaint(request: pytest.FixtureRequest, stage: str, rules: Any) -> None:
    report = rules().validate_scope(request.getfixturevalue(stage).stack)
    assert [(violation.rule_name, violation.violating_resources) for violation in report.violations] == []
    assert report.success


def test_cdk_nag_is_awake() -> None:
    stack = Stack(App(), "Careless")
    sqs.Queue(stack, "WithoutTls")
    assert not AwsSolutionsChecks().validate_scope(stack).success


@pytest.mark.parametrize("stage", STAGES)
def test_every_rule_that_is_set_aside_is_explained(request: pytest.FixtureRequest, stage: str) -> None:
    explained = {
        re.sub(r"^Annotation::|\[.*", "", rule): reason
        for construct in request.getfixturevalue(stage).stack.node.find_all()
        for entry in construct.node.metadata
        if entry.type == Validations.ACKNOWLEDGED_RULES_METADATA_KEY
        for rule, reason in entry.data.items()
        if not rule.startswith("CloudFormation-Validate")  # the CDK's own, of its own
    }
    assert set(explained) <= SET_ASIDE
    assert all(len(reason.split()) > 5 for reason in explained.values())


@pytest.mark.parametrize("stage", STAGES)
def test_cfn_lint_has_no_complaint(request: pytest.FixtureRequest, stage: str) -> None:
    # W3005: the CDK spells out that a function needs its role, which a reference says already.
    config = ManualArgs(regions=["eu-west-1"], ignore_checks=["W3005"])
    assert cfn_lint.lint(json.dumps(request.getfixturevalue(stage).template), config=config) == []
