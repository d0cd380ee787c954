"""Promises of the stack as a whole.

The CDK and the linters are imported by the tests that use them, since every process of `make test` imports this module.
"""

import json

import pytest

from tests.support.synthesized import Synthesized

STAGES = ["aws", "staging", "dev", "private", "public", "rare"]


def test_no_secret_is_written_over(aws: Synthesized) -> None:
    """CloudFormation writes a secret anew when its text changes in the template, which must stay what it always was."""
    secrets = [each["Properties"] for each in aws.resources("AWS::SecretsManager::Secret").values()]
    assert [each["SecretString"] for each in secrets if "SecretString" in each] == ["{}", "{}"]
    assert [each["GenerateSecretString"] for each in secrets if "GenerateSecretString" in each] == [
        {
            "ExcludePunctuation": True,
            "GenerateStringKey": "locationKey",
            "PasswordLength": 64,
            "SecretStringTemplate": "{}",
        }
    ]


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


@pytest.mark.parametrize("stage", STAGES)
def test_cdk_nag_has_no_complaint(request: pytest.FixtureRequest, stage: str) -> None:
    from cdk_nag import AwsSolutionsChecks, ServerlessChecks

    for rules in (AwsSolutionsChecks(), ServerlessChecks()):
        report = rules.validate_scope(request.getfixturevalue(stage).stack)
        assert [(violation.rule_name, violation.violating_resources) for violation in report.violations] == []
        assert report.success


def test_cdk_nag_is_awake() -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_sqs as sqs
    from cdk_nag import AwsSolutionsChecks

    stack = Stack(App(), "Careless")
    sqs.Queue(stack, "WithoutTls")
    assert not AwsSolutionsChecks().validate_scope(stack).success


@pytest.mark.parametrize("stage", ["aws", "private", "rare"])  # the others have no resource that these have not
def test_cfn_lint_has_no_complaint(request: pytest.FixtureRequest, stage: str) -> None:
    from cfnlint import api as cfn_lint
    from cfnlint.config import ManualArgs

    # W3005: the CDK spells out that a function needs its role, which a reference says already.
    # W3010: a row may name zones.
    config = ManualArgs(regions=["eu-west-1"], ignore_checks=["W3005", "W3010"])
    assert cfn_lint.lint(json.dumps(request.getfixturevalue(stage).template), config=config) == []
