"""Promises of the stack as a whole."""

import json
import re
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack, Validations
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks
from cfnlint import api as cfn_lint
from cfnlint.config import ManualArgs

from tests.infra.conftest import DATABASE_SECRET_ARN, synthesize
from tests.infra.synthesized import Synthesized

# What the table of stages says, by the name that CloudFormation has for it.
SAID_BY_THE_STAGE = {
    "Architectures", "CompatibleArchitectures", "RetentionInDays", "ReservedConcurrentExecutions", "TracingConfig",
    "ThrottlingRateLimit", "ThrottlingBurstLimit",
}  # fmt: skip
NOT_ON_THE_LOCAL_AWS = "AutoDeleteObjects"  # and what belongs to it


def comparable(template: dict[str, Any]) -> dict[str, Any]:
    """The template without what its stage and the platform say."""
    text = json.dumps(_without(template, SAID_BY_THE_STAGE), sort_keys=True)
    text = re.sub(r"[aA]fter[hH]ours-(prod|local)", "AfterHours-<stage>", text)
    text = re.sub(r"AllowEventRule\w+", "AllowEventRule<stage>", text)
    text = re.sub(r"[0-9a-f]{64}\.zip", "<archive>", text)  # a key of code, which is built for the platform
    text = re.sub(r"CurrentVersion\w+", "<version>", text)  # named after its content
    same: dict[str, Any] = json.loads(text)
    return same


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: kept
            for key, part in value.items()
            if key not in names and NOT_ON_THE_LOCAL_AWS not in key and (kept := _without(part, names)) != []
        }
    if isinstance(value, list):
        return [_without(part, names) for part in value if not _is_of_the_helper(part)]
    return value


def _is_of_the_helper(value: Any) -> bool:
    """A statement or a tag that lets the function empty the bucket which the CDK adds for that."""
    return isinstance(value, dict) and (
        value.get("Key") == "aws-cdk:auto-delete-objects" or NOT_ON_THE_LOCAL_AWS in json.dumps(value.get("Principal"))
    )


def test_prod_is_the_local_stack_but_for_what_its_stage_says(aws: Synthesized, local: Synthesized) -> None:
    prod, here = comparable(aws.template), comparable(local.template)
    assert prod["Resources"].keys() == here["Resources"].keys()
    for name in here["Resources"]:
        assert prod["Resources"][name] == here["Resources"][name], name
    assert prod == here


def test_outputs(aws: Synthesized) -> None:
    assert set(aws.template["Outputs"]) == {
        "ApiUrl", "ApiId", "JwtSecretArn", "LocationSecretArn", "R2SecretArn", "ScheduleGroup", "EventBus",
        "UploadBucket",
        "SessionDeadLettersUrl", "PhotoDeadLettersUrl", "FunctionNamePrefix",
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


def test_what_ops_put_in_is_never_written_over(aws: Synthesized) -> None:
    """CloudFormation writes a secret's text when it changes in the template: it must say what it has always said."""
    secrets = aws.resources("AWS::SecretsManager::Secret").values()
    given = [secret["Properties"] for secret in secrets if "GenerateSecretString" not in secret["Properties"]]
    assert [secret["SecretString"] for secret in given] == ["{}", "{}"]


def _migrates(synthesized: Synthesized) -> dict[str, str]:
    variables: dict[str, str] = synthesized.functions["migrate_database"]["Properties"]["Environment"]["Variables"]
    return {name: value for name, value in variables.items() if name.startswith("DATABASE_")}


def test_a_second_role_serves_where_one_is_given(tmp_path: Path, aws: Synthesized) -> None:
    both = synthesize(tmp_path, stage="staging", appDatabaseSecretArn=f"{DATABASE_SECRET_ARN[:-6]}Z9y8X7")
    served = both.functions["get_session"]["Properties"]["Environment"]["Variables"]["DATABASE_SECRET_ARN"]
    assert served.endswith("postgres-Z9y8X7")
    assert _migrates(both) == {"DATABASE_SECRET_ARN": DATABASE_SECRET_ARN, "DATABASE_APP_ROLE": "after_hours_app"}
    assert _migrates(aws) == {"DATABASE_SECRET_ARN": DATABASE_SECRET_ARN}


def _warnings(synthesized: Synthesized) -> list[str]:
    return [str(entry.data) for entry in synthesized.stack.node.metadata if entry.type == "aws:cdk:warning"]


def test_one_role_for_all_is_warned_of(aws: Synthesized, two_roles: Synthesized) -> None:
    assert any("One role owns the tables and serves" in warning for warning in _warnings(aws))
    assert _warnings(two_roles) == []


def test_migrations_run_before_any_function_or_route_is_touched(aws: Synthesized) -> None:
    [migration] = aws.resources("Custom::Trigger")
    waiting = [
        *(function for name, function in aws.functions.items() if name != "migrate_database"),
        *aws.resources("AWS::ApiGatewayV2::Route").values(),
        *aws.resources("AWS::ApiGatewayV2::Stage").values(),
        *aws.resources("AWS::Events::Rule").values(),
        *aws.resources("AWS::S3::Bucket").values(),
    ]
    assert all(migration in resource["DependsOn"] for resource in waiting)
    assert (aws.code("migrate_database") / "migrations" / "env.py").exists()


def test_a_failed_migration_fails_the_deployment(aws: Synthesized) -> None:
    """An invocation that is waited for: the trigger then answers CloudFormation with the handler's error."""
    [migration] = aws.resources("Custom::Trigger").values()
    assert migration["Properties"]["InvocationType"] == "RequestResponse"


def test_cdk_nag_has_no_complaint(aws: Synthesized) -> None:
    report = AwsSolutionsChecks().validate_scope(aws.stack)
    assert [(violation.rule_name, violation.violating_resources) for violation in report.violations] == []
    assert report.success


def test_cdk_nag_is_awake() -> None:
    stack = Stack(App(), "Careless")
    sqs.Queue(stack, "WithoutTls")
    assert not AwsSolutionsChecks().validate_scope(stack).success


def test_every_rule_that_is_set_aside_is_explained(aws: Synthesized) -> None:
    explained = {
        re.sub(r"^Annotation::AwsSolutions-|\[.*", "", rule): reason
        for construct in aws.stack.node.find_all()
        for entry in construct.node.metadata
        if entry.type == Validations.ACKNOWLEDGED_RULES_METADATA_KEY
        for rule, reason in entry.data.items()
    }
    assert set(explained) == {"APIG4", "IAM5", "L1", "S1", "SMG4", "SQS3"}
    assert all(len(reason.split()) > 5 for reason in explained.values())


def test_cfn_lint_has_no_complaint(aws: Synthesized) -> None:
    # W3005: the CDK spells out that a function needs its role, which a reference says already.
    config = ManualArgs(regions=["eu-west-1"], ignore_checks=["W3005"])
    assert cfn_lint.lint(json.dumps(aws.template), config=config) == []
