"""New code of the busiest functions goes live for a tenth of the calls first, and back by itself."""

import pytest

from tests.support.synthesized import Synthesized

BUSIEST = {"start_session", "get_session"}


def test_calls_of_the_busiest_functions_go_to_an_alias_that_codedeploy_moves(aws: Synthesized) -> None:
    aliases = aws.resources("AWS::Lambda::Alias")
    functions = {
        name: aws.template["Resources"][each["Properties"]["FunctionName"]["Ref"]] for name, each in aliases.items()
    }
    assert {each["Properties"]["FunctionName"] for each in functions.values()} == {
        f"AfterHours-prod-{name}" for name in BUSIEST
    }
    integrations = [
        each["Properties"]["IntegrationUri"] for each in aws.resources("AWS::ApiGatewayV2::Integration").values()
    ]
    assert {uri["Ref"] for uri in integrations if "Ref" in uri} == set(aliases)
    for alias in aliases.values():
        assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]


def test_an_alarm_on_its_own_route_takes_a_deployment_back(aws: Synthesized) -> None:
    """On what members get: a function of ours answers 5xx, and does not fail."""
    groups = [each["Properties"] for each in aws.resources("AWS::CodeDeploy::DeploymentGroup").values()]
    assert {group["DeploymentGroupName"] for group in groups} == BUSIEST
    for group in groups:
        [alarm] = group["AlarmConfiguration"]["Alarms"]
        rung = aws.template["Resources"][alarm["Name"]["Ref"]]["Properties"]
        assert rung["AlarmName"] == f"AfterHours-prod-Canary-{group['DeploymentGroupName']}"
        assert (rung["MetricName"], rung["Period"]) == ("5xx", 60)
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert group["DeploymentConfigName"].startswith("CodeDeployDefault.LambdaCanary10Percent")


def test_codedeploy_may_move_these_aliases_and_no_others(aws: Synthesized) -> None:
    [role] = [name for name in aws.resources("AWS::IAM::Role") if name.startswith("Canaries")]
    assert "ManagedPolicyArns" not in aws.template["Resources"][role]["Properties"]
    [moving] = [each for each in aws.statements(role) if "lambda:UpdateAlias" in each["Action"]]
    assert len(moving["Resource"]) == 2 * len(BUSIEST)
    assert all(any(name.replace("_", "") in resource for name in BUSIEST) for resource in moving["Resource"])


@pytest.mark.parametrize("stage", ["private", "dev", "local"])
def test_other_stages_change_at_once(request: pytest.FixtureRequest, stage: str) -> None:
    synthesized = request.getfixturevalue(stage)
    assert not synthesized.resources("AWS::Lambda::Alias")
    assert not synthesized.resources("AWS::CodeDeploy::DeploymentGroup")
