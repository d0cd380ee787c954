"""The tools for whoever works with the running system: each does what `make help` says of it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event

import boto3
import jwt
import pytest

from tests.support.deployed import Caller, NewMember
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


def command(workspace: Workspace, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    [module, *arguments] = words
    line = [sys.executable, "-m", module, "--workspace", str(workspace.root), *arguments]
    environment = {**settings, "PATH": "/usr/bin:/bin"} if settings else None
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=environment)


def test_psql_is_on_the_database_of_the_system(stack: Stack, workspace: Workspace, new_member: NewMember) -> None:
    member = new_member()
    said = command(workspace, "tools.local.psql", f"SELECT id FROM users WHERE id = '{member.id}'")
    assert member.id in said.stdout
    assert command(workspace, "tools.local.psql", "SELECT nothing").returncode != 0


def test_psql_opens_with_a_statement_of_the_package(stack: Stack, workspace: Workspace) -> None:
    line = [sys.executable, "-m", "tools.local.psql", "--workspace", str(workspace.root), "--statement"]
    run = partial(subprocess.run, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    said = run([*line, "sessions._CURRENT"], input="BEGIN; :statement; ROLLBACK;")
    assert "This is sessions._CURRENT" in said.stdout
    assert "(1 row)" in said.stdout, said.stderr
    assert "There is no statement sessions._NONE" in run([*line, "sessions._NONE"]).stderr


@contextmanager
def following(workspace: Workspace, function: str) -> Iterator["subprocess.Popen[str]"]:
    line = [sys.executable, "-m", "tools.local.logs", "--workspace", str(workspace.root), function]
    with subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.terminate()


def test_logs_follow_a_function(stack: Stack, workspace: Workspace, new_member: NewMember) -> None:
    member = new_member()
    with following(workspace, "get_session") as process:
        assert process.stdout
        # It follows from when it has started, which nobody sees from outside: the member looks again and again.
        with looking_again_and_again(member):
            line = next(line for line in process.stdout if member.id in line)
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d get_session: INFO request .*route=GET /api/after-hours/session status=200 .*\n", line
    )
    assert command(workspace, "tools.local.logs", "no_such").returncode == 1


@contextmanager
def looking_again_and_again(member: Caller) -> Iterator[None]:
    def look(ending: Event) -> None:
        while not ending.wait(0.5):
            member.call("GET", "/session")

    with beside(look):
        yield


def test_every_request_is_a_line_in_the_terminal_of_the_run(
    stack: Stack, new_member: NewMember, capsys: pytest.CaptureFixture[str]
) -> None:
    member = new_member()
    said = ""

    def shown() -> str:
        nonlocal said
        said += capsys.readouterr().out
        return said

    with logs.requests_shown(stack):
        member.call("GET", "/profile")
        member.call("POST", "/session/start", {})
        until(lambda: shown().count(member.id) == 2)
    lines = [line for line in said.splitlines() if member.id in line]
    assert re.fullmatch(r"\S+ 404 GET /api/after-hours/profile \d+ ms, test-\S+", lines[0])
    assert re.fullmatch(r"\S+ 400 POST /api/after-hours/session/start \d+ ms, test-\S+", lines[1])


def test_a_token_of_the_local_system_works(stack: Stack, workspace: Workspace, new_member: NewMember) -> None:
    member = new_member()
    token = command(workspace, "tools.local.token", "local", member.id).stdout.strip()
    assert stack.call("GET", "/session", token=token).status == 200
    token = command(workspace, "tools.local.token", "local", "noConsent").stdout.strip()
    assert stack.call("GET", "/session", token=token).body["code"] == "CONSENT_REQUIRED"


def test_a_token_of_a_deployed_stage_is_signed_with_its_secret(stack: Stack, workspace: Workspace) -> None:
    cloudformation = boto3.client("cloudformation", **stack.aws)
    cloudformation.create_stack(StackName="AfterHours-dev", TemplateBody=json.dumps(TEMPLATE))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="AfterHours-dev")
    settings = aws.settings(stack.aws_endpoint_url)
    token = command(workspace, "tools.local.token", "dev", "a-tester", **settings).stdout.strip()
    claims = jwt.decode(token, "the secret of dev, long enough for HS256", algorithms=["HS256"])
    assert claims["userId"] == "a-tester"
    refused = command(workspace, "tools.local.token", "nowhere", "a-tester", **settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "nowhere" in refused.stderr


@pytest.mark.parametrize("stage", ["prod", "PROD", "../prod"])
def test_there_is_no_token_for_prod(stack: Stack, workspace: Workspace, stage: str) -> None:
    refused = command(workspace, "tools.local.token", stage, "a-tester", **aws.settings(stack.aws_endpoint_url))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Traceback" not in refused.stderr


def test_debug_runs_the_handler_of_the_working_tree_against_the_system(stack: Stack, workspace: Workspace) -> None:
    started = command(workspace, "tools.local.debug", "start_session")
    assert started.returncode == 0, started.stderr
    assert "Expected: 201\nOutcome:  201\n" in started.stdout
    said = command(
        workspace, "tools.local.psql", "SELECT 'live' FROM after_hours_sessions WHERE user_id = 'local-sample'"
    )
    assert "live" in said.stdout
    failing = command(workspace, "tools.local.debug", "expire_session", "no_session")
    assert failing.returncode == 0, failing.stderr
    assert "functions/expire_session/handler.py" in failing.stderr


def test_reset_forgets_what_members_did(stack: Stack, workspace: Workspace) -> None:
    token = stack.users["entitled"].token
    assert stack.call("POST", "/profile", token=token, body={}).status == 201
    assert command(workspace, "tools.local.reset").returncode == 0
    assert stack.call("GET", "/profile", token=token).body["code"] == "PROFILE_NOT_FOUND"
    assert stack.call("POST", "/profile", token=token, body={}).status == 201
    assert stack.call("DELETE", "/profile", token=token).status == 204
