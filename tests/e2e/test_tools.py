"""The tools for people who work with the running system: each does what `make help` says of it."""

import json
import re
import subprocess
import sys

import boto3
import jwt

from tests.support.deployed import NewMember
from tests.support.system import Command, System
from tools.local import aws
from tools.local.stack import Stack

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


def test_logs_follow_functions_and_make_run_shows_each_request(
    system: System, new_member: NewMember, command: Command
) -> None:
    member = new_member()
    follow = [sys.executable, "-m", "tools.local", "logs", "start_session"]
    member.call("POST", "/session/start", {})
    with subprocess.Popen(follow, cwd=system.repository, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = next(line for line in process.stdout if f"user_id={member.id} route" in line)
        process.terminate()
    said = "start_session: INFO request .*route=POST /api/after-hours/session/start status=400 "
    assert re.match(rf"\d\d:\d\d:\d\d {said}", line)
    system.await_line(rf"\n\S+ 400 POST /api/after-hours/session/start \d+ ms, {member.id}\n")
    assert "There is no function 'no_such'" in command("logs", "no_such").stderr


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
    started = command("invoke", "--here", "start_session")
    assert "Expected: 201\nOutcome:  201\n" in started.stdout, started.stderr
    assert stack.call("GET", "/session", token=stack.token("local-sample")).body["active"]
    failing = command("invoke", "--here", "expire_session", "no_session")
    assert failing.returncode == 0, failing.stderr
    assert "functions/expire_session/handler.py" in failing.stderr


def test_reset_forgets_what_members_did(stack: Stack, command: Command) -> None:
    token = stack.users["entitled"].token
    assert stack.call("POST", "/profile", token=token, body={}).status == 201
    assert command("reset").returncode == 0
    assert stack.call("GET", "/profile", token=token).body["code"] == "PROFILE_NOT_FOUND"
