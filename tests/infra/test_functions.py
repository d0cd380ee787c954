"""What each function runs with, and what it may do."""

from pathlib import Path

import pytest

from infra import rights
from infra.endpoints import ENDPOINTS, Right, Secret
from infra.stages import STAGES, Stage
from tests.support.synthesized import Synthesized

LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
PUTTING = {"scheduler:CreateSchedule", "scheduler:UpdateSchedule", "iam:PassRole"}
DELETING = {"scheduler:DeleteSchedule"}
LOOKING = {"scheduler:GetSchedule"}
PUBLISHING = {"events:PutEvents"}
REMOVING = {"s3:DeleteObject"}
SECRETS = {"secretsmanager:GetSecretValue"}
SERVING = {"rds-db:connect"}
INTERFACES = {
    "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
}  # fmt: skip
BASE = LOGS | INTERFACES
DEAD_LETTERS = {"sqs:SendMessage"}

ACTIONS = {
    Right.MOVE_SCHEDULES: PUTTING,
    Right.DELETE_SCHEDULES: DELETING,
    Right.PUBLISH: PUBLISHING,
    Right.SIGN_UPLOADS: {"s3:PutObject"},
    Right.DELETE_UPLOADS: REMOVING,
}
RIGHTS = {
    endpoint.function: (BASE | SECRETS | SERVING).union(*(ACTIONS[right] for right in endpoint.may))
    for endpoint in ENDPOINTS
} | {
    "process_photo": BASE
    | SECRETS
    | SERVING
    | PUBLISHING
    | REMOVING
    | DEAD_LETTERS
    | {"s3:GetObject", "s3:ListBucket"},
    "expire_session": BASE | SERVING | PUTTING | PUBLISHING | DEAD_LETTERS,
    "sweep": BASE | SECRETS | SERVING | PUTTING | DELETING | LOOKING | PUBLISHING | REMOVING,
    "migrate_database": BASE | SECRETS,
}
READS: dict[str, tuple[Secret, ...]] = {endpoint.function: (Secret.JWT, *endpoint.reads) for endpoint in ENDPOINTS} | {
    "process_photo": (Secret.R2,),
    "expire_session": (),
    "sweep": (Secret.R2,),
    "migrate_database": (),
}
ARN = "arn:<AWS::Partition>:{}:<AWS::Region>:<AWS::AccountId>:{}"

each_function = pytest.mark.parametrize("name", RIGHTS)


def test_every_folder_of_functions_is_deployed(aws: Synthesized) -> None:
    folders = {handler.parent.name for handler in Path("functions").glob("*/handler.py")}
    assert folders == set(aws.functions) == set(RIGHTS)


@each_function
def test_runs_on_arm_with_python_3_13_and_its_layers(aws: Synthesized, name: str) -> None:
    function = aws.functions[name]["Properties"]
    assert function["Architectures"] == ["arm64"]
    assert function["Runtime"] == "python3.13"
    assert function["Handler"] == "handler.handler"
    assert aws.layers_of(name) == ["after_hours", *(["imaging"] if name == "process_photo" else [])]


# What a function must be told before it can do something, by an action that shows that it may.
TOLD = {
    "scheduler:CreateSchedule": {
        "SCHEDULE_GROUP", "SCHEDULER_ROLE_ARN", "EXPIRE_FUNCTION_ARN", "SCHEDULE_DEAD_LETTER_ARN",
    },
    "scheduler:DeleteSchedule": {"SCHEDULE_GROUP"},
    "events:PutEvents": {"EVENT_BUS"},
    "s3:PutObject": {"UPLOAD_BUCKET"},
    "s3:DeleteObject": {"UPLOAD_BUCKET"},
    "rds-db:connect": {"DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_IAM_USER"},
}  # fmt: skip
TOLD_TO_ALL = {"POWERTOOLS_SERVICE_NAME", "RES_OPTIONS", "AWS_USE_DUALSTACK_ENDPOINT"}
TOLD_TO_ONE = {
    "process_photo": {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"},
    "migrate_database": {
        "DATABASE_SECRET_ARN", "DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_APP_ROLE",
        "DATABASE_HOST_TABLES",
    },
}  # fmt: skip


@each_function
def test_is_told_what_it_uses_and_no_more(aws: Synthesized, name: str) -> None:
    assert set(aws.variables(name)) == TOLD_TO_ALL.union(
        TOLD_TO_ONE.get(name, set()),
        (secret.value for secret in READS[name]),
        *(variables for action, variables in TOLD.items() if action in RIGHTS[name]),
    )


@each_function
def test_waits_two_seconds_for_a_name_server_that_says_nothing(aws: Synthesized, name: str) -> None:
    assert aws.variables(name)["RES_OPTIONS"] == "timeout:1 attempts:2"


def test_metrics_of_two_stages_are_not_counted_together(aws: Synthesized, dev: Synthesized) -> None:
    assert aws.variables("sweep")["POWERTOOLS_SERVICE_NAME"] == "AfterHours-prod"
    assert dev.variables("sweep")["POWERTOOLS_SERVICE_NAME"] == "AfterHours-dev"


@each_function
def test_writes_json_to_a_log_group_that_forgets(aws: Synthesized, name: str) -> None:
    logging = aws.functions[name]["Properties"]["LoggingConfig"]
    group = aws.log_group_of(aws.functions[name])
    assert logging["LogFormat"] == "JSON"
    assert group == {"LogGroupName": f"/aws/lambda/AfterHours-prod-{name}", "RetentionInDays": 30}


def test_what_the_cdk_adds_forgets_its_logs_too_and_writes_to_no_others(aws: Synthesized) -> None:
    helpers = [
        resource
        for resource in aws.resources("AWS::Lambda::Function").values()
        if "FunctionName" not in resource["Properties"] and "S3Key" in resource["Properties"]["Code"]
    ]
    assert len(helpers) == 2, "one runs the migrations, one empties the upload bucket"
    for helper in helpers:
        role = helper["Properties"]["Role"]["Fn::GetAtt"][0]
        assert aws.log_group_of(helper)["RetentionInDays"] == 30
        assert "ManagedPolicyArns" not in aws.template["Resources"][role]["Properties"]
        group = helper["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
        assert [
            statement["Resource"]
            for statement in aws.statements(role)
            if statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
        ] == [[f"<{group}.Arn>"]]


def test_every_log_group_forgets(aws: Synthesized) -> None:
    assert {group["Properties"]["RetentionInDays"] for group in aws.resources("AWS::Logs::LogGroup").values()} == {
        30,
        14,  # the access log's
    }


@each_function
def test_runs_at_once_no_more_often_than_its_stage_says(aws: Synthesized, local: Synthesized, name: str) -> None:
    concurrency = STAGES["prod"].concurrency
    assert concurrency
    assert aws.functions[name]["Properties"]["ReservedConcurrentExecutions"] == concurrency.of(name)
    assert "ReservedConcurrentExecutions" not in local.functions[name]["Properties"]


@pytest.mark.parametrize("stage", [stage for stage in STAGES.values() if stage.concurrency])
def test_reserved_concurrency_leaves_the_account_what_aws_keeps_for_the_rest(stage: Stage) -> None:
    assert stage.concurrency
    assert sum(map(stage.concurrency.of, RIGHTS)) + 100 <= stage.account_concurrency


def test_a_new_account_which_refuses_reservations_takes_the_stage_that_has_none() -> None:
    assert STAGES["dev"].concurrency is None


@each_function
def test_is_traced_where_its_stage_says_so(aws: Synthesized, private: Synthesized, name: str) -> None:
    assert "TracingConfig" not in aws.functions[name]["Properties"]
    assert private.functions[name]["Properties"]["TracingConfig"] == {"Mode": "Active"}


@each_function
def test_ends_before_the_api_gives_up_waiting(aws: Synthesized, name: str) -> None:
    nobody_waits = {"migrate_database": 600, "process_photo": 60, "expire_session": 60, "sweep": 60}
    assert aws.functions[name]["Properties"]["Timeout"] <= nobody_waits.get(name, 29)


@each_function
def test_has_its_own_rights_and_no_others(aws: Synthesized, name: str) -> None:
    role = aws.template["Resources"][aws.role_of(name)]["Properties"]
    actions = [
        action
        for statement in aws.statements(aws.role_of(name))
        for action in statement["Action"]
        if statement["Effect"] == "Allow"
    ]
    assert set(actions) == RIGHTS[name]
    assert "ManagedPolicyArns" not in role


def test_each_role_belongs_to_one_function(aws: Synthesized) -> None:
    assert len({aws.role_of(name) for name in RIGHTS}) == len(RIGHTS)


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
    schedules = ARN.format("scheduler", "schedule/AfterHours-prod/*")
    uploads = "arn:<AWS::Partition>:s3:::afterhours-prod-uploads-<AWS::AccountId>-<AWS::Region>/*"
    assert patterns == {
        *((schedules, action) for action in (PUTTING | DELETING | LOOKING) - {"iam:PassRole"}),
        *((uploads, f"s3:{verb}Object") for verb in ("Get", "Put", "Delete")),
        ("*", "cloudwatch:DescribeAlarms"),  # CodeDeploy's, which CloudWatch allows on all or on none
    }


@each_function
def test_reads_the_secrets_that_it_needs_and_no_others(aws: Synthesized, name: str) -> None:
    read = [
        resource
        for statement in aws.statements(aws.role_of(name))
        if "secretsmanager:GetSecretValue" in statement["Action"]
        for resource in statement["Resource"]
    ]
    if name == "migrate_database":
        assert [resource.partition(".")[2] for resource in read] == ["MasterUserSecret.SecretArn>"]
    else:
        assert read == [
            f"<{aws.template['Outputs'][f'{secret.name.title()}SecretArn']['Value']['Ref']}>" for secret in READS[name]
        ]


def test_only_start_session_reads_the_location_key_and_only_who_handles_photos_reads_r2_s() -> None:
    assert [name for name, secrets in READS.items() if Secret.LOCATION in secrets] == ["start_session"]
    assert {name for name, secrets in READS.items() if Secret.R2 in secrets} == {
        "get_profile", "update_profile", "delete_profile", "get_photo", "delete_photo", "process_photo", "sweep",
    }  # fmt: skip


def test_functions_pass_the_scheduler_role_to_the_scheduler_only(aws: Synthesized) -> None:
    passed = [
        statement
        for name in RIGHTS
        for statement in aws.statements(aws.role_of(name))
        if "iam:PassRole" in statement["Action"]
    ]
    scheduler_role = aws.functions["start_session"]["Properties"]["Environment"]["Variables"]["SCHEDULER_ROLE_ARN"]
    for statement in passed:
        assert statement["Resource"] == [f"<{'.'.join(scheduler_role['Fn::GetAtt'])}>"]
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_the_page_of_rights_is_the_template_s(aws: Synthesized) -> None:
    assert rights.PAGE.read_text() == rights.page(aws.template), "run `make rights`, and read the difference"
