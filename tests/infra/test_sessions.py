"""What ends a session when nobody does."""

from datetime import timedelta
from typing import Any

from tests.support.synthesized import Synthesized


def _environment(aws: Synthesized) -> dict[str, Any]:
    variables: dict[str, Any] = aws.functions["start_session"]["Properties"]["Environment"]["Variables"]
    return variables


def test_the_scheduler_role_invokes_expire_session_and_nothing_else(aws: Synthesized) -> None:
    role = _environment(aws)["SCHEDULER_ROLE_ARN"]["Fn::GetAtt"][0]
    assert {action: statement["Resource"] for statement in aws.statements(role) for action in statement["Action"]} == {
        "lambda:InvokeFunction": [
            "arn:<AWS::Partition>:lambda:<AWS::Region>:<AWS::AccountId>:function:AfterHours-prod-expire_session"
        ],
        "sqs:SendMessage": [f"<{aws.dead_letters['Scheduling']}.Arn>"],
    }


def test_only_our_group_in_our_account_assumes_the_scheduler_role(aws: Synthesized) -> None:
    role = aws.template["Resources"][_environment(aws)["SCHEDULER_ROLE_ARN"]["Fn::GetAtt"][0]]
    [group] = aws.resources("AWS::Scheduler::ScheduleGroup")
    [trust] = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": {"Ref": "AWS::AccountId"},
        "aws:SourceArn": {"Fn::GetAtt": [group, "Arn"]},
    }


def test_schedules_are_told_the_function_that_is_deployed(aws: Synthesized) -> None:
    [*_, arn] = _environment(aws)["EXPIRE_FUNCTION_ARN"]["Fn::Join"][1]
    assert arn == f":function:{aws.functions['expire_session']['Properties']['FunctionName']}"


def test_an_event_that_expire_session_fails_becomes_a_dead_letter(aws: Synthesized) -> None:
    assert aws.on_failure("expire_session") == aws.dead_letters["Scheduling"]


def test_dead_letters_are_encrypted_kept_for_two_weeks_and_sent_over_tls(aws: Synthesized) -> None:
    for queue in aws.resources("AWS::SQS::Queue").values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
        assert queue["Properties"]["MessageRetentionPeriod"] == timedelta(days=14).total_seconds()
    policies = aws.resources("AWS::SQS::QueuePolicy").values()
    assert len(policies) == len(aws.dead_letters) == 2
    for policy in policies:
        assert [
            statement["Condition"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny"
        ] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_the_sweep_runs_every_minute_where_members_are(aws: Synthesized) -> None:
    [rule] = [rule for name, rule in aws.resources("AWS::Events::Rule").items() if name.startswith("Sessions")]
    [target] = rule["Properties"]["Targets"]
    sweep = aws.template["Resources"][target["Arn"]["Fn::GetAtt"][0]]
    assert rule["Properties"]["ScheduleExpression"] == "rate(1 minute)"
    assert rule["Properties"]["State"] == "ENABLED"
    assert sweep["Properties"]["FunctionName"] == "AfterHours-prod-sweep"
    assert {"RetryPolicy", "DeadLetterConfig"} <= target.keys()
