"""Who is called for what, and what there is to look at then. The snapshots have each alarm's metric and limit."""

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


def test_no_alarm_has_more_metrics_than_cloudwatch_takes(aws: Synthesized) -> None:
    """Ten, a hard limit ("Limits", Amazon CloudWatch User Guide); and twenty parts in all (PutMetricAlarm)."""
    computed = {name: alarm for name, alarm in alarms(aws).items() if "Metrics" in alarm}
    assert len(computed) > 10
    for name, alarm in computed.items():
        assert len(measured_by(alarm)) <= 10, name
        assert len(alarm["Metrics"]) <= 20, name


def test_each_route_is_watched_for_5xx_and_for_its_slowest_answers(aws: Synthesized) -> None:
    watched: dict[str, set[tuple[str, str]]] = {"ServerErrors": set(), "Slow": set()}
    for name, alarm in alarms(aws).items():
        for metric in measured_by(alarm) if name.partition("-")[0] in watched else ():
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            watched[name.partition("-")[0]].add((dimensions["Method"], dimensions["Resource"]))
    routes = {(endpoint.method, f"{PREFIX}{endpoint.path}") for endpoint in ENDPOINTS}
    assert watched == {"ServerErrors": routes, "Slow": routes}


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
