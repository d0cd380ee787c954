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

JWT_SECRET = "the secret of dev, long enough for HS256"
TEMPLATE = {
    "Resources": {
        "Jwt": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"SecretString": json.dumps({"jwtSecret": JWT_SECRET})},
        }
    },
    "Outputs": {"JwtSecretArn": {"Value": {"Ref": "Jwt"}}},
}


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
    system.await_line(re.escape(line))
    assert "There is no function no_such. There are: create_" in command("logs", "no_such").stderr


def test_tokens_are_of_the_main_app_and_there_are_none_for_prod(stack: Stack, command: Command) -> None:
    token = command("token", "local", "noConsent").stdout.strip()
    assert stack.call("GET", "/session", token=token).body["code"] == "CONSENT_REQUIRED"
    settings = aws.settings(stack.aws_endpoint_url)
    nowhere = command("token", "staging", "a-tester", **settings)
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert nowhere.stderr.startswith("The JWT secret of staging cannot be read")
    cloudformation = boto3.client("cloudformation", **stack.aws)
    for stage in ("dev", "prod"):
        cloudformation.create_stack(StackName=f"AfterHours-{stage}", TemplateBody=json.dumps(TEMPLATE))
        cloudformation.get_waiter("stack_create_complete").wait(StackName=f"AfterHours-{stage}")
    token = command("token", "dev", "a-tester", **settings).stdout.strip()
    assert jwt.decode(token, JWT_SECRET, algorithms=["HS256"])["userId"] == "a-tester"
    refused = command("token", "prod", "a-tester", **settings)
    assert (refused.returncode, refused.stdout) == (2, "")


def test_psql_knows_the_statements_and_tries_one(command: Command) -> None:
    said = command("psql", "--statement", "sessions._CURRENT", text="BEGIN; :statement; ROLLBACK;")
    assert "This is sessions._CURRENT" in said.stdout
    assert "(1 row)" in said.stdout, said.stderr
    assert "There is no statement sessions._NONE" in command("psql", "--statement", "sessions._NONE").stderr


def test_invoke_and_debug_change_one_member_alone_and_reset_all(stack: Stack, command: Command) -> None:
    token = stack.users["entitled"].token
    assert stack.call("POST", "/profile", token=token, body={}).status == 201
    done = command("invoke", "start_session", "null_island")
    assert done.returncode == 0
    assert "Expected: 400 VALIDATION_ERROR\nOutcome:  400 VALIDATION_ERROR\n" in done.stdout
    said = json.loads(command("invoke", "start_session", "null_island", "--json").stdout)
    assert (said["expected"], said["as_expected"]) == ("400 VALIDATION_ERROR", True)
    assert "start_session/null_island" in command("events").stdout
    assert "There is no sample event x/valid. There are: create_" in command("invoke", "x").stderr
    started = command("invoke", "--here", "start_session")
    assert "Expected: 201\nOutcome:  201\n" in started.stdout, started.stderr
    assert stack.call("GET", "/session", token=stack.token("local-sample")).body["active"]
    failing = command("invoke", "--here", "expire_session", "no_session")
    assert failing.returncode == 0, failing.stderr
    assert "functions/expire_session/handler.py" in failing.stderr
    profiles = "SELECT user_id FROM after_hours_profiles WHERE user_id LIKE 'local-%'"
    assert "local-entitled" in command("psql", profiles).stdout
    assert command("reset").returncode == 0
    assert "(0 rows)" in command("psql", profiles).stdout
