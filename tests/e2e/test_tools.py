"""The tools for people who work with the running system: each does what `make help` says of it."""

import json
import re
import subprocess
import sys
from threading import Event

import boto3
import jwt
import pytest

from tests.support.deployed import NewMember
from tests.support.system import Command
from tests.support.waiting import until
from tools.local import aws, logs
from tools.local.background import beside
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace

TEMPLATE = {
    "Resources": {
        "Jwt": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"SecretString": '{"jwtSecret": "the secret of dev, long enough for HS256"}'},
        }
    },
    "Outputs": {"JwtSecretArn": {"Value": {"Ref": "Jwt"}}},
}


def test_psql_is_on_the_database_of_the_system_and_knows_the_statements(command: Command) -> None:
    assert "local-other" in command("psql", "SELECT id FROM users WHERE id = 'local-other'").stdout
    assert command("psql", "SELECT nothing").returncode != 0
    said = command("psql", "--statement", "sessions._CURRENT", text="BEGIN; :statement; ROLLBACK;")
    assert "This is sessions._CURRENT" in said.stdout
    assert "(1 row)" in said.stdout, said.stderr
    assert "There is no statement sessions._NONE" in command("psql", "--statement", "sessions._NONE").stderr


def test_logs_follow_a_function(stack: Stack, workspace: Workspace, new_member: NewMember, command: Command) -> None:
    member = new_member()

    def look_again_and_again(ending: Event) -> None:
        while not ending.wait(0.5):
            member.call("GET", "/session")

    line = [sys.executable, "-m", "tools.local.logs", "--workspace", str(workspace.root), "get_session"]
    with subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        with beside(look_again_and_again):
            line_of_member = next(line for line in process.stdout if member.id in line)
        process.terminate()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d get_session: INFO request .*route=GET /api/after-hours/session status=200 .*\n", line_of_member
    )
    assert "There is no function 'no_such'" in command("logs", "no_such").stderr


def test_a_line_for_each_request_and_for_what_goes_wrong(
    stack: Stack, new_member: NewMember, capsys: pytest.CaptureFixture[str]
) -> None:
    member, said = new_member(), ""

    def shown() -> str:
        nonlocal said
        said += capsys.readouterr().out
        return said

    with logs.requests_shown(stack):
        member.call("POST", "/session/start", {})
        until(lambda: shown().count(member.id) == 1)
    assert re.search(r"^\S+ 400 POST /api/after-hours/session/start \d+ ms, test-\S+$", said, re.MULTILINE)


def test_tokens_work_and_there_are_none_for_prod(stack: Stack, command: Command, new_member: NewMember) -> None:
    for user, status in ((new_member().id, 200), ("noConsent", 403)):
        token = command("token", "local", user).stdout.strip()
        assert stack.call("GET", "/session", token=token).status == status
    cloudformation = boto3.client("cloudformation", **stack.aws)
    cloudformation.create_stack(StackName="AfterHours-dev", TemplateBody=json.dumps(TEMPLATE))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="AfterHours-dev")
    settings = aws.settings(stack.aws_endpoint_url)
    token = command("token", "dev", "a-tester", **settings).stdout.strip()
    claims = jwt.decode(token, "the secret of dev, long enough for HS256", algorithms=["HS256"])
    assert claims["userId"] == "a-tester"
    for stage, sentence in (
        ("nowhere", "The JWT secret of nowhere cannot be read: "),
        ("prod", "There are no tokens for prod: "),
        ("PROD", "STAGE must be the name of a stage; it is 'PROD'."),
    ):
        refused = command("token", stage, "a-tester", **settings)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith(sentence)


def test_invoke_says_what_was_expected_and_touches_nobody_else(stack: Stack, command: Command) -> None:
    token = stack.users["entitled"].token
    assert stack.call("POST", "/profile", token=token, body={}).status == 201
    done = command("invoke", "start_session", "null_island")
    assert done.returncode == 0
    assert "Expected: 400 VALIDATION_ERROR\nOutcome:  400 VALIDATION_ERROR\n" in done.stdout
    assert json.loads(command("invoke", "start_session", "--json").stdout)["result"]["statusCode"] == 201
    assert command("invoke", "delete_profile", "nothing_to_leave").returncode == 0
    assert stack.call("DELETE", "/profile", token=token).status == 204
    assert "There is no function 'x'. Say FUNCTION= one of: create_" in command("invoke", "x").stderr


def test_debug_runs_the_handler_of_the_working_tree_against_the_system(stack: Stack, command: Command) -> None:
    started = command("debug", "start_session")
    assert "Expected: 201\nOutcome:  201\n" in started.stdout, started.stderr
    assert stack.call("GET", "/session", token=stack.token("local-sample")).body["active"]
    failing = command("debug", "expire_session", "no_session")
    assert failing.returncode == 0, failing.stderr
    assert "functions/expire_session/handler.py" in failing.stderr


def test_reset_forgets_what_members_did(stack: Stack, command: Command) -> None:
    token = stack.users["entitled"].token
    assert stack.call("POST", "/profile", token=token, body={}).status == 201
    assert command("reset").returncode == 0
    assert stack.call("GET", "/profile", token=token).body["code"] == "PROFILE_NOT_FOUND"
