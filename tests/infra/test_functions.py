"""What functions may do, and how many may run at once. The snapshots show what each of them is."""

import re
from pathlib import Path

from after_hours.members import uploads

from infra.endpoints import ENDPOINTS, Right, Secret
from tests.support.synthesized import Synthesized

INTERFACES = {
    "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
}  # fmt: skip
BASE = {"logs:CreateLogStream", "logs:PutLogEvents", "rds-db:connect", *INTERFACES}
SECRETS, PUBLISHING, DEAD_LETTERS = {"secretsmanager:GetSecretValue"}, {"events:PutEvents"}, {"sqs:SendMessage"}
PUTTING, DELETING = (
    {"scheduler:CreateSchedule", "scheduler:UpdateSchedule", "iam:PassRole"},
    {"scheduler:DeleteSchedule"},
)
ACTIONS = {
    Right.MOVE_SCHEDULES: PUTTING,
    Right.DELETE_SCHEDULES: DELETING,
    Right.PUBLISH: PUBLISHING,
    Right.SIGN_UPLOADS: {"s3:PutObject"},
    Right.DELETE_UPLOADS: {"s3:DeleteObject"},
}
RIGHTS = {
    **{row.function: (BASE | SECRETS).union(*(ACTIONS[right] for right in row.may)) for row in ENDPOINTS},
    "process_photo": BASE | SECRETS | PUBLISHING | DEAD_LETTERS | {"s3:DeleteObject", "s3:GetObject", "s3:ListBucket"},
    "expire_session": BASE | PUTTING | PUBLISHING | DEAD_LETTERS,
    "sweep": BASE | SECRETS | PUTTING | DELETING | {"scheduler:GetSchedule"} | PUBLISHING | {"s3:DeleteObject"},
    "migrate_database": (BASE | SECRETS) - {"rds-db:connect"},
}  # fmt: skip
READS: dict[str, set[Secret]] = {
    **{row.function: {Secret.JWT, *row.reads} for row in ENDPOINTS},
    "process_photo": {Secret.R2},
    "sweep": {Secret.R2},
}


def test_each_function_has_a_role_of_its_own_with_the_rights_of_its_row_and_no_others(aws: Synthesized) -> None:
    assert {handler.parent.name for handler in Path("functions").glob("*/handler.py")} == set(aws.functions)
    assert len({aws.role_of(name) for name in aws.functions}) == len(aws.functions)
    assert {
        name: {
            action
            for statement in aws.statements(aws.role_of(name))
            for action in statement["Action"]
            if statement["Effect"] == "Allow"
        }
        for name in aws.functions
    } == RIGHTS
    managed = [
        name for name, role in aws.resources("AWS::IAM::Role").items() if "ManagedPolicyArns" in role["Properties"]
    ]
    assert managed == []


def test_each_function_reads_the_secrets_of_its_row_and_no_others(aws: Synthesized) -> None:
    secrets = {f"<{aws.template['Outputs'][f'{each.name.title()}SecretArn']['Value']['Ref']}>": each for each in Secret}
    read = {
        name: {
            secrets.get(resource)
            for statement in aws.statements(aws.role_of(name))
            if "secretsmanager:GetSecretValue" in statement["Action"]
            for resource in statement["Resource"]
        }
        for name in aws.functions
    }
    assert read == {**READS, "expire_session": set(), "migrate_database": {None}}  # the cluster's own
    assert [name for name, found in read.items() if Secret.LOCATION in found] == ["start_session"]


def test_only_schedules_and_uploads_are_granted_by_pattern(aws: Synthesized) -> None:
    """Of our group and bucket alone: schedules and uploads are named after what comes and goes."""
    patterns = {
        (resource, action)
        for role in aws.resources("AWS::IAM::Role")
        for statement in aws.statements(role)
        for resource in statement["Resource"]
        for action in statement["Action"]
        if "*" in resource + action and "CustomResourceProvider" not in role and action not in INTERFACES
    }
    schedules = "arn:<AWS::Partition>:scheduler:<AWS::Region>:<AWS::AccountId>:schedule/AfterHours-prod/*"
    objects = "arn:<AWS::Partition>:s3:::afterhours-prod-uploads-<AWS::AccountId>-<AWS::Region>/*"
    assert patterns == {
        *((schedules, f"scheduler:{verb}Schedule") for verb in ("Create", "Update", "Delete", "Get")),
        *((objects, f"s3:{verb}Object") for verb in ("Get", "Put", "Delete")),
        ("*", "cloudwatch:DescribeAlarms"),  # CodeDeploy's, which CloudWatch allows on all or on none
    }


def test_functions_pass_the_scheduler_role_to_the_scheduler_only(aws: Synthesized) -> None:
    role = aws.variables("start_session")["SCHEDULER_ROLE_ARN"]["Fn::GetAtt"]
    for name in aws.functions:
        for statement in aws.statements(aws.role_of(name)):
            if "iam:PassRole" in statement["Action"]:
                assert statement["Resource"] == [f"<{'.'.join(role)}>"]
                assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_every_log_is_written_to_a_group_that_forgets(aws: Synthesized) -> None:
    groups = aws.resources("AWS::Logs::LogGroup")
    assert {group["Properties"]["RetentionInDays"] for group in groups.values()} == {30, 14}  # 14: the access log's
    for function in aws.resources("AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups


def test_a_function_ends_before_those_who_wait_give_up_and_an_upload_is_leased_as_long(aws: Synthesized) -> None:
    seconds = {name: function["Properties"]["Timeout"] for name, function in aws.functions.items()}
    assert max(seconds[row.function] for row in ENDPOINTS) <= 29  # API Gateway's
    [leased] = re.findall(r"leased_until = now\(\) \+ interval '(\d+) seconds'", uploads._CLAIM)
    assert seconds["process_photo"] == int(leased)
