"""Who is called for what, and what there is to look at then."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.endpoints import ENDPOINTS
from tests.support.synthesized import Synthesized


def alarms(synthesized: Synthesized) -> dict[str, dict[str, Any]]:
    """Name without the stack's → properties."""
    prefix = f"{synthesized.stack.stack_name}-"
    found = [alarm["Properties"] for alarm in synthesized.resources("AWS::CloudWatch::Alarm").values()]
    return {alarm["AlarmName"].removeprefix(prefix): alarm for alarm in found}


def test_every_alarm_tells_somebody(aws: Synthesized) -> None:
    [topic] = aws.resources("AWS::SNS::Topic")
    for alarm in alarms(aws).values():
        assert alarm["AlarmActions"] == [{"Ref": topic}]
        assert alarm["AlarmDescription"].endswith(".")
    [subscription] = aws.resources("AWS::SNS::Subscription").values()
    assert subscription["Properties"]["Protocol"] == "email"
    assert subscription["Properties"]["Endpoint"] == "ops@example.com"
    assert subscription["Properties"]["TopicArn"] == {"Ref": topic}


def test_alarms_may_publish_to_their_topic(aws: Synthesized) -> None:
    """A policy of a topic's own replaces the one that would let CloudWatch in."""
    [policy] = aws.resources("AWS::SNS::TopicPolicy").values()
    assert [
        (statement["Action"], statement["Principal"], statement["Condition"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ] == [
        (
            "sns:Publish",
            {"Service": "cloudwatch.amazonaws.com"},
            {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        )
    ]


def test_people_are_called_for_each_of_these(aws: Synthesized) -> None:
    kinds = {name.partition("-")[0] for name in alarms(aws)}
    assert kinds == {
        "ExpiryLag", "SweepAbsent", "SweepErrors", "SessionDeadLetters", "PhotoDeadLetters",
        "ServerErrors", "TooManyRequests", "Unauthorized", "Slow", "Canary", "NearTimeout", "Throttled",
        "AccountConcurrency", "EventAge", "Undone", "Stuck", "SecretsIncomplete",
        "StorageFaults", "EventBusFaults", "SchedulerFaults", "DatabaseFaults", "SecretFaults",
        "DatabaseConnections", "DatabaseCapacity", "DatabaseMemory", "ProxyPinned",
    }  # fmt: skip


@pytest.mark.parametrize("stage", ["aws", "private", "local"])
def test_the_runbook_has_each_alarm_and_no_other(request: pytest.FixtureRequest, stage: str, aws: Synthesized) -> None:
    rung = {name.partition("-")[0] for name in alarms(request.getfixturevalue(stage))}
    table = Path("docs/operations.md").read_text().partition("| alarm | means | do |")[2].partition("\n\n")[0]
    explained = {name for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in row.split(", ")}
    assert rung <= explained
    assert explained - {"---"} == {name.partition("-")[0] for name in alarms(aws)}


def test_every_function_and_every_route_is_watched(aws: Synthesized) -> None:
    names = set(alarms(aws))
    assert {f"{kind}-{function}" for kind in ("NearTimeout", "Throttled") for function in aws.functions} <= names
    assert {f"Slow-{endpoint.function}" for endpoint in ENDPOINTS} <= names


def test_a_function_near_its_timeout_is_told_by_its_own_timeout(aws: Synthesized) -> None:
    for name, function in aws.functions.items():
        alarm = alarms(aws)[f"NearTimeout-{name}"]
        assert alarm["Threshold"] == 0.8 * 1000 * function["Properties"]["Timeout"]
        assert alarm["Statistic"] == "Maximum"


def test_a_session_that_ends_late_is_told_before_members_tell(aws: Synthesized) -> None:
    late = alarms(aws)["ExpiryLag"]
    assert (late["MetricName"], late["Statistic"], late["Threshold"]) == ("ExpiryLagSeconds", "Maximum", 180)
    assert late["Dimensions"] == [{"Name": "service", "Value": "AfterHours-prod"}]


def test_pinned_connections_are_added_up_over_the_proxy_s_machines(aws: Synthesized) -> None:
    """Each counts its own every minute, and the least of them says nothing: one of two may have none."""
    pinned = alarms(aws)["ProxyPinned"]
    assert (pinned["Statistic"], pinned["Period"], pinned["EvaluationPeriods"]) == ("Sum", 60, 15)


def test_an_absent_sweep_rings_by_its_silence_and_no_other_silence_rings(aws: Synthesized) -> None:
    rings = {name for name, alarm in alarms(aws).items() if alarm["TreatMissingData"] != "notBreaching"}
    assert rings == {"SweepAbsent"}
    assert alarms(aws)["SweepAbsent"]["ComparisonOperator"] == "LessThanThreshold"


def test_statuses_are_counted_from_the_access_log_of_this_stage(aws: Synthesized) -> None:
    filters = [each["Properties"] for each in aws.resources("AWS::Logs::MetricFilter").values()]
    [stage] = aws.resources("AWS::ApiGatewayV2::Stage").values()
    written = json.loads(stage["Properties"]["AccessLogSettings"]["Format"])
    assert written["status"] == "$context.status"
    counted = {each["FilterPattern"]: each["MetricTransformations"][0] for each in filters}
    assert set(counted) == {'{ $.status = "429" }', '{ $.status = "401" }'}
    assert {metric["MetricNamespace"] for metric in counted.values()} == {"AfterHours-prod"}
    told = {(alarm.get("Namespace"), alarm["MetricName"]) for alarm in alarms(aws).values()}
    assert {(metric["MetricNamespace"], metric["MetricName"]) for metric in counted.values()} <= told


def test_a_stage_without_alarms_has_none_unless_somebody_is_to_be_told(dev: Synthesized) -> None:
    assert alarms(dev) == {}
    assert len(dev.resources("AWS::CloudWatch::Dashboard")) == 1


def test_the_dashboard_shows_members_and_machine(aws: Synthesized, private: Synthesized) -> None:
    [dashboard] = aws.resources("AWS::CloudWatch::Dashboard").values()
    shown = json.dumps(dashboard["Properties"]["DashboardBody"])
    for metric in (
        "SessionsLive", "SessionsStarted", "SessionsEnded", "PhotosRejected", "ExpiryLagSeconds", "Latency",
        "ServerlessDatabaseCapacity", "ConcurrentExecutions", "AsyncEventAge", "Undone",
    ):  # fmt: skip
        assert metric in shown, metric
    [other] = private.resources("AWS::CloudWatch::Dashboard").values()
    assert other["Properties"]["DashboardName"] != dashboard["Properties"]["DashboardName"]


def test_saved_queries_read_logs_of_ours(aws: Synthesized, local: Synthesized) -> None:
    groups = aws.resources("AWS::Logs::LogGroup")
    for query in aws.resources("AWS::Logs::QueryDefinition").values():
        assert query["Properties"]["Name"].startswith("AfterHours-prod/")
        assert {group["Ref"] for group in query["Properties"]["LogGroupNames"]} <= set(groups)
    assert len(aws.resources("AWS::Logs::QueryDefinition")) >= 8
    assert not local.resources("AWS::Logs::QueryDefinition"), "the local AWS cannot make them"
