"""Who is called for what, and what there is to look at then."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.endpoints import ENDPOINTS, PREFIX
from tests.support.synthesized import Synthesized


def alarms(synthesized: Synthesized) -> dict[str, dict[str, Any]]:
    """Name without the stack's → properties."""
    prefix = f"{synthesized.stack.stack_name}-"
    found = [alarm["Properties"] for alarm in synthesized.resources("AWS::CloudWatch::Alarm").values()]
    return {alarm["AlarmName"].removeprefix(prefix): alarm for alarm in found}


def measured_by(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm is about, whether it does arithmetic with them or not."""
    return [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]


def names(alarm: dict[str, Any]) -> set[str]:
    return {metric["MetricName"] for metric in measured_by(alarm)}


def arithmetic(alarm: dict[str, Any]) -> list[str]:
    return [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]


def topics(synthesized: Synthesized) -> dict[str, str]:
    """Severity → the logical id of its topic."""
    return {
        topic["Properties"]["DisplayName"].split()[-1]: name
        for name, topic in synthesized.resources("AWS::SNS::Topic").items()
    }


def test_every_alarm_wakes_somebody_or_is_a_ticket(aws: Synthesized) -> None:
    told = topics(aws)
    assert set(told) == {"page", "ticket"}
    rung = alarms(aws)
    for alarm in rung.values():
        assert alarm["AlarmActions"] in [[{"Ref": topic}] for topic in told.values()]
        assert alarm["AlarmDescription"].endswith(".")
    paged = [name for name, alarm in rung.items() if alarm["AlarmActions"] == [{"Ref": told["page"]}]]
    assert {name.partition("-")[0] for name in paged} == {
        "ServerErrors", "Unreachable", "ExpiryLag", "Sweep", "Unauthorized", "Forbidden", "Secrets",
    }  # fmt: skip
    subscribed = {
        each["Properties"]["TopicArn"]["Ref"]: each["Properties"]["Endpoint"]
        for each in aws.resources("AWS::SNS::Subscription").values()
    }
    assert subscribed == {told["page"]: "ops@example.com", told["ticket"]: "tickets@example.com"}


def test_there_are_no_more_alarms_than_a_person_can_know(aws: Synthesized) -> None:
    assert len(alarms(aws)) <= 30


def test_those_may_publish_to_a_topic_that_have_something_to_tell(aws: Synthesized) -> None:
    """A policy of a topic's own replaces the one that would let CloudWatch in."""
    allowed: dict[str, set[str]] = {severity: set() for severity in topics(aws)}
    named = {topic: severity for severity, topic in topics(aws).items()}
    for policy in aws.resources("AWS::SNS::TopicPolicy").values():
        [topic] = policy["Properties"]["Topics"]
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                assert statement["Action"] == "sns:Publish"
                services = statement["Principal"]["Service"]
                allowed[named[topic["Ref"]]] |= set(services if isinstance(services, list) else [services])
                if services != "events.amazonaws.com":  # which the CDK lets in, for rules
                    own = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
                    assert statement["Condition"] == own
    assert allowed == {
        "page": {"cloudwatch.amazonaws.com"},
        "ticket": {
            "budgets.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com", "events.rds.amazonaws.com",
        },
    }  # fmt: skip


def test_arithmetic_of_an_alarm_has_no_more_metrics_than_cloudwatch_takes(aws: Synthesized) -> None:
    """Ten, a hard limit ("Limits", Amazon CloudWatch User Guide); and twenty parts in all (PutMetricAlarm)."""
    computed = {name: alarm for name, alarm in alarms(aws).items() if "Metrics" in alarm}
    assert len(computed) > 10
    for name, alarm in computed.items():
        assert len(measured_by(alarm)) <= 10, name
        assert len(alarm["Metrics"]) <= 20, name


def test_the_local_aws_is_spared_arithmetic(local: Synthesized) -> None:
    assert [name for name, alarm in alarms(local).items() if "Metrics" in alarm] == []
    assert {"ExpiryLag", "Sweep", "Undone", "Stuck"} <= set(alarms(local))


@pytest.mark.parametrize("stage", ["aws", "private", "local"])
def test_the_runbook_has_each_alarm_and_no_other(request: pytest.FixtureRequest, stage: str, aws: Synthesized) -> None:
    rung = {name.partition("-")[0] for name in alarms(request.getfixturevalue(stage))}
    table = Path("docs/operations.md").read_text().partition("| alarm | is a | means | do |")[2].partition("\n\n")[0]
    explained = dict(re.findall(r"^\| (\w+) \| (\w+) \|", table, re.MULTILINE))
    assert rung <= set(explained)
    told = {topic: severity for severity, topic in topics(aws).items()}
    assert explained == {
        name.partition("-")[0]: told[alarm["AlarmActions"][0]["Ref"]] for name, alarm in alarms(aws).items()
    }


def test_each_route_is_watched_for_5xx_as_a_share_with_a_floor(aws: Synthesized) -> None:
    """One route that fails is few of all answers: its own answers are what its failures are a share of."""
    watched = [alarm for name, alarm in alarms(aws).items() if name.startswith("ServerErrors-")]
    routes = []
    for alarm in watched:
        metrics = {json.dumps(metric["Dimensions"], sort_keys=True): metric for metric in measured_by(alarm)}
        assert names(alarm) == {"5xx", "Count"}
        assert alarm["Threshold"] == 1
        shares = [text for text in arithmetic(alarm) if text.startswith("IF(")]
        assert len(shares) == len(metrics)
        assert all(re.fullmatch(r"IF\(part(\d) >= 5, 100 \* part\1 / whole\1, 0\)", text) for text in shares)
        routes += [
            {each["Name"]: each["Value"] for each in metric["Dimensions"]}["Resource"] for metric in metrics.values()
        ]
    assert sorted(routes) == sorted(f"{PREFIX}{endpoint.path}" for endpoint in ENDPOINTS)


def test_each_route_is_watched_for_its_slowest_answers(aws: Synthesized) -> None:
    slow = [alarm for name, alarm in alarms(aws).items() if name.startswith("Slow-")]
    assert sum(len(measured_by(alarm)) for alarm in slow) == len(ENDPOINTS)
    assert all(alarm["Threshold"] == 3000 and alarm["EvaluationPeriods"] == 3 for alarm in slow)


def test_a_session_that_ends_late_is_told_before_members_tell(aws: Synthesized) -> None:
    late = alarms(aws)["ExpiryLag"]
    assert (late["MetricName"], late["Statistic"], late["Threshold"]) == ("ExpiryLagSeconds", "Maximum", 180)
    assert late["Dimensions"] == [{"Name": "service", "Value": "AfterHours-prod"}]


def test_the_proxy_is_watched_by_the_name_that_rds_gives_it(aws: Synthesized) -> None:
    """RDS has names in small letters, and CloudWatch tells `Name` from `name`. Each machine counts its own."""
    [proxy] = aws.resources("AWS::RDS::DBProxy").values()
    for name, part in (
        ("ProxyPinned", "DatabaseConnectionsCurrentlySessionPinned"),
        ("ProxyLogins", "ClientConnectionsSetupFailedAuth"),
    ):
        alarm = alarms(aws)[name]
        assert part in names(alarm)
        for each in alarm["Metrics"]:
            if "MetricStat" in each:
                assert each["MetricStat"]["Stat"] == "Sum"
                assert each["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "ProxyName", "Value": "afterhours-prod"}]
    assert proxy["Properties"]["DBProxyName"] == "afterhours-prod"
    [logs] = [name for name in aws.resources("AWS::Logs::LogGroup") if name.startswith("ClusterProxy")]
    assert aws.template["Resources"][logs]["Properties"] == {
        "LogGroupName": "/aws/rds/proxy/afterhours-prod",
        "RetentionInDays": 30,
    }
    assert logs in proxy["DependsOn"], "else RDS makes it first, and keeps it for ever"


def test_silence_rings_where_something_must_always_come(aws: Synthesized) -> None:
    rings = {name for name, alarm in alarms(aws).items() if alarm["TreatMissingData"] != "notBreaching"}
    assert rings == {"Sweep", "Unreachable"}
    for name in rings:
        assert alarms(aws)[name]["ComparisonOperator"] == "LessThanThreshold"
    assert (alarms(aws)["Sweep"]["MetricName"], alarms(aws)["Sweep"]["Statistic"]) == ("Undone", "SampleCount")
    assert alarms(aws)["Sweep"]["Period"] == 900


def test_statuses_are_shares_counted_from_the_access_log_of_this_stage(aws: Synthesized) -> None:
    filters = [each["Properties"] for each in aws.resources("AWS::Logs::MetricFilter").values()]
    [stage] = aws.resources("AWS::ApiGatewayV2::Stage").values()
    written = json.loads(stage["Properties"]["AccessLogSettings"]["Format"])
    assert written["status"] == "$context.status"
    counted = {each["FilterPattern"]: each["MetricTransformations"][0] for each in filters}
    assert set(counted) == {'{ $.status = "429" }', '{ $.status = "401" }', '{ $.status = "403" }'}
    assert {metric["MetricNamespace"] for metric in counted.values()} == {"AfterHours-prod"}
    for name, status in (("Unauthorized", 401), ("Forbidden", 403), ("TooManyRequests", 429)):
        assert names(alarms(aws)[name]) == {f"Answered{status}", "Count"}


def test_schedules_that_come_due_in_vain_are_told(aws: Synthesized) -> None:
    failed = alarms(aws)["SchedulesFailed"]
    assert names(failed) == {
        "TargetErrorCount", "TargetErrorThrottledCount", "InvocationDroppedCount",
        "InvocationsFailedToBeSentToDeadLetterCount", "InvocationAttemptCount",
    }  # fmt: skip
    [group] = aws.resources("AWS::Scheduler::ScheduleGroup").values()
    for metric in measured_by(failed):
        assert metric["Dimensions"] == [{"Name": "ScheduleGroup", "Value": group["Properties"]["Name"]}]


def test_every_metric_of_ours_that_an_alarm_looks_at_is_counted_somewhere(aws: Synthesized) -> None:
    sources = "".join(
        path.read_text() for path in [*Path("layers/after_hours").rglob("*.py"), Path("infra/probe/index.py")]
    )
    ours = {
        metric["MetricName"]
        for alarm in alarms(aws).values()
        for metric in measured_by(alarm)
        if metric.get("Namespace") == "AfterHours"
    }
    assert ours >= {"ForeignDeletions", "SchedulesLost", "Heartbeats", "EventBusMissing"}
    assert [name for name in ours if f'"{name}"' not in sources] == []


def test_a_stage_without_alarms_has_none_unless_somebody_is_to_be_told(dev: Synthesized) -> None:
    assert alarms(dev) == {}
    assert len(dev.resources("AWS::CloudWatch::Dashboard")) == 1


def test_the_dashboard_shows_members_and_machine(aws: Synthesized, private: Synthesized) -> None:
    [dashboard] = aws.resources("AWS::CloudWatch::Dashboard").values()
    shown = json.dumps(dashboard["Properties"]["DashboardBody"])
    for metric in (
        "SessionsLive", "SessionsStarted", "SessionsEnded", "PhotosRejected", "ExpiryLagSeconds", "Latency",
        "Throttles", "Duration",
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


def test_what_the_stage_costs_is_told_before_it_is_spent(aws: Synthesized, dev: Synthesized) -> None:
    [budget] = aws.resources("AWS::Budgets::Budget").values()
    [tag] = budget["Properties"]["Budget"]["CostFilters"]["TagKeyValue"]
    [(name, value)] = aws.stack.tags.tag_values().items()
    assert tag == f"user:{name}${value}"
    assert value == "AfterHours-prod"
    for told in budget["Properties"]["NotificationsWithSubscribers"]:
        assert told["Subscribers"] == [{"SubscriptionType": "SNS", "Address": {"Ref": topics(aws)["ticket"]}}]
    assert dev.resources("AWS::Budgets::Budget") == {}
    assert dev.stack.tags.tag_values() == {"stack": "AfterHours-dev"}
