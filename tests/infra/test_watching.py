"""Who is called for what, and what there is to look at then. The snapshots have each alarm's metric and limit."""

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


@pytest.mark.parametrize("stage", ["aws", "private", "local"])
def test_the_runbook_has_each_alarm_and_no_other(request: pytest.FixtureRequest, stage: str, aws: Synthesized) -> None:
    topics = {
        name: topic["Properties"]["DisplayName"].split()[-1] for name, topic in aws.resources("AWS::SNS::Topic").items()
    }
    called = {name.partition("-")[0]: topics[alarm["AlarmActions"][0]["Ref"]] for name, alarm in alarms(aws).items()}
    table = Path("docs/operations.md").read_text().partition("| alarm | is a | means | do |")[2].partition("\n\n")[0]
    explained = dict(re.findall(r"^\| (\w+) \| (\w+) \|", table, re.MULTILINE))
    assert explained == called
    assert {name.partition("-")[0] for name in alarms(request.getfixturevalue(stage))} <= set(explained)


def test_there_are_no_more_alarms_than_a_person_can_know_nor_metrics_than_cloudwatch_takes(aws: Synthesized) -> None:
    """Ten, a hard limit ("Limits", Amazon CloudWatch User Guide); and twenty parts in all (PutMetricAlarm)."""
    assert len(alarms(aws)) <= 30 + max(0, len(ENDPOINTS) - 14)  # a further endpoint may bring one
    computed = {name: alarm for name, alarm in alarms(aws).items() if "Metrics" in alarm}
    assert len(computed) > 10
    for name, alarm in computed.items():
        assert len(measured_by(alarm)) <= 10, name
        assert len(alarm["Metrics"]) <= 20, name


def test_the_local_aws_is_spared_arithmetic(local: Synthesized) -> None:
    assert [name for name, alarm in alarms(local).items() if "Metrics" in alarm] == []


def test_each_route_is_watched_for_5xx_as_a_share_of_its_own_answers_and_for_its_slowest_ones(aws: Synthesized) -> None:
    watched = {
        kind: [each for name, each in alarms(aws).items() if name.startswith(kind)] for kind in ("Server", "Slow")
    }
    routes = []
    for alarm in watched["Server"]:
        metrics = {json.dumps(metric["Dimensions"]): metric["Dimensions"] for metric in measured_by(alarm)}
        shares = [each["Expression"] for each in alarm["Metrics"] if each.get("Expression", "").startswith("IF(")]
        assert len(shares) == len(metrics)
        assert all(re.fullmatch(r"IF\(part(\d) >= 5, 100 \* part\1 / whole\1, 0\)", text) for text in shares)
        routes += [{each["Name"]: each["Value"] for each in parts}["Resource"] for parts in metrics.values()]
    assert sorted(routes) == sorted(f"{PREFIX}{endpoint.path}" for endpoint in ENDPOINTS)
    assert sum(len(measured_by(alarm)) for alarm in watched["Slow"]) == len(ENDPOINTS)


def test_silence_rings_where_something_must_always_come(aws: Synthesized) -> None:
    assert {name for name, alarm in alarms(aws).items() if alarm["TreatMissingData"] != "notBreaching"} == {
        "Sweep", "Unreachable",
    }  # fmt: skip


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
    filters = [each["Properties"] for each in aws.resources("AWS::Logs::MetricFilter").values()]
    [stage] = aws.resources("AWS::ApiGatewayV2::Stage").values()
    assert json.loads(stage["Properties"]["AccessLogSettings"]["Format"])["status"] == "$context.status"
    assert {each["FilterPattern"] for each in filters} == {f'{{ $.status = "{status}" }}' for status in (401, 403, 429)}


def test_the_dashboard_shows_members_and_machine(aws: Synthesized) -> None:
    [dashboard] = aws.resources("AWS::CloudWatch::Dashboard").values()
    shown = json.dumps(dashboard["Properties"]["DashboardBody"])
    metrics = (
        "SessionsLive", "SessionsStarted", "SessionsEnded", "PhotosRejected", "ExpiryLagSeconds", "Latency",
        "Throttles", "Duration", "ServerlessDatabaseCapacity", "ConcurrentExecutions", "AsyncEventAge", "Undone",
    )  # fmt: skip
    assert [metric for metric in metrics if metric not in shown] == []


def test_the_budget_counts_what_the_stack_is_tagged_with(aws: Synthesized) -> None:
    [budget] = aws.resources("AWS::Budgets::Budget").values()
    [(name, value)] = aws.stack.tags.tag_values().items()
    assert budget["Properties"]["Budget"]["CostFilters"]["TagKeyValue"] == [f"user:{name}${value}"]
    assert value == "AfterHours-prod"
