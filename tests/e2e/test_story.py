"""What a newcomer meets: the words of `make run` are true, the whole story works, and it keeps to itself."""

import json
import os
import re
import subprocess
from itertools import pairwise
from shlex import quote

import boto3
import jwt
import psutil
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from infra.endpoints import ENDPOINTS
from tests.support.deployed import NewMember, refused
from tests.support.system import NOBODY_LISTENS, Command, System
from tests.support.waiting import until
from tests.support.workspaces import processes_of
from tools.local.samples import samples
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace

START = {"duration": 15, "latitude": 52.5200081, "longitude": 13.4049541}
TRACES = """
    SELECT id FROM users WHERE id LIKE 'demo-%'
    UNION ALL SELECT user_id FROM after_hours_profiles WHERE user_id LIKE 'demo-%'
    UNION ALL SELECT user_id FROM after_hours_sessions WHERE user_id LIKE 'demo-%'
    UNION ALL SELECT user_id FROM after_hours_photo_uploads WHERE user_id LIKE 'demo-%'
    UNION ALL SELECT key FROM after_hours_outbox WHERE key LIKE '%demo-%' OR payload::text LIKE '%demo-%'
"""


def rows(connection: Connection, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall()


def logs_of(stack: Stack) -> str:
    logs = boto3.client("logs", **stack.aws)
    return "".join(
        event["message"]
        for name in stack.functions.values()
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
        for event in page["events"]
    )


def test_the_stack_file_says_what_runs_for_its_owner_alone(stack: Stack, workspace: Workspace) -> None:
    written = json.loads(workspace.stack_file.read_text())
    assert set(written["users"]) == {"entitled", "other", "noPremium", "unverified", "noConsent"}
    assert (workspace.stack_file.stat().st_mode | workspace.exports.stat().st_mode) & 0o077 == 0
    # A saved address and a saved token work in the next run: the port and the secret are all that they depend on.
    assert stack.api_url == f"{stack.aws_endpoint_url}/_aws/execute-api/after-hours/api/after-hours"
    assert workspace.kept_secret("jwt-secret") == stack.jwt_secret
    for user in stack.users.values():
        claims = jwt.decode(user.token, stack.jwt_secret, algorithms=["HS256"])
        assert (claims["userId"], claims["exp"] - claims.get("iat", 0) > 24 * 60 * 60) == (user.id, True)


def test_it_listens_on_loopback_with_a_password(
    stack: Stack, workspace: Workspace, new_member: NewMember, connection: Connection
) -> None:
    new_member().call("GET", "/session")  # so that there is a worker, too
    listening = {
        (process.name(), socket.laddr.ip)
        for process in processes_of(workspace)
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert len(listening) >= 2
    assert {address for _, address in listening} == {"127.0.0.1"}
    assert rows(connection, "SELECT DISTINCT auth_method FROM pg_hba_file_rules") == [("scram-sha-256",)]


def pasted(source: str, line: str) -> "subprocess.CompletedProcess[str]":
    """Run a line in a shell that has sourced the exports. It has a proxy that answers nothing, and an account."""
    foreign = {"HTTP_PROXY": NOBODY_LISTENS, "http_proxy": NOBODY_LISTENS, "AWS_PROFILE": "mine"}
    return subprocess.run(
        ["bash", "-c", f"{source}; {line}"],
        cwd="/", capture_output=True, text=True, check=True, env=os.environ | foreign,
    )  # fmt: skip


def test_the_printed_lines_work_as_they_stand(system: System, stack: Stack, command: Command) -> None:
    assert command("reset").returncode == 0
    printed = [line.rstrip("\n") for line in system.printed]
    assert f"Play it all in a browser: {stack.page_url}" in printed
    source = f"cd {quote(str(system.repository))} && . .local/env"
    assert source in printed
    pastes = [pasted(source, line) for title, line in pairwise(printed) if title.startswith("# ")]
    assert [paste.stderr.split()[-1] for paste in pastes if paste.stderr] == [
        "201", "201", "200", "201", "201", "200", "200", "200", "204",
    ]  # fmt: skip
    profile, sent, shown, preferences, *_sessions, leaving = [paste.stdout for paste in pastes]
    assert json.loads(profile)["profile"]["userId"] == stack.users["entitled"].id
    assert "'GPS': 4" in sent
    assert sent.endswith("S3: 204\n")
    assert "'size': (900, 1200), 'progressive': True, 'EXIF': 0, 'GPS': 0, 'other metadata': []" in shown
    assert json.loads(preferences)["preferences"]["maxDistanceKm"] == 5
    assert leaving.strip() == ""
    answer = pasted(source, 'curl -sS -H "Authorization: Bearer $TOKEN_NO_CONSENT" "$API/session"')
    assert json.loads(answer.stdout)["code"] == "CONSENT_REQUIRED"
    [line] = re.findall(r"^(aws lambda invoke .*)$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert json.JSONDecoder().raw_decode(pasted(source, line).stdout)[0]["statusCode"] == 200


def test_no_deployed_route_answers_without_a_token(stack: Stack) -> None:
    for endpoint in ENDPOINTS:
        answer = stack.call(endpoint.method, endpoint.path)
        assert (answer.status, answer.body["code"]) == (401, "UNAUTHORIZED"), endpoint


def test_every_sample_does_what_its_name_says(command: Command) -> None:
    """Each function's own rights on AWS are used by one of them."""
    played = command("events", "--run")
    assert (played.returncode, played.stdout.count("pass  ")) == (0, sum(map(len, samples().values()))), played.stdout


def test_the_demo_passes_and_leaves_no_trace_and_no_secret_in_a_log(
    stack: Stack, workspace: Workspace, connection: Connection, command: Command
) -> None:
    demo = command("demo")
    assert (demo.returncode, demo.stderr) == (0, "")
    assert demo.stdout.splitlines()[-1].endswith("All as promised.")
    assert "closed by the schedule" in demo.stdout
    until(lambda: rows(connection, TRACES) == [])
    assert refused(stack) == set()
    written = logs_of(stack) + (workspace.logs / "postgresql.log").read_text()
    assert "demo-" in written
    for secret in ("eyJ", "40.741", "73.98", "One demo, then home", "X-Amz-Signature", stack.jwt_secret):
        assert secret not in written


def test_a_function_is_refused_what_its_role_does_not_allow(stack: Stack, new_member: NewMember) -> None:
    member = new_member()
    member.call("POST", "/profile", {})
    member.call("POST", "/session/start", START)
    assert member.call("POST", "/session/extend", {"additionalMinutes": 15}).status == 200
    assert refused(stack) == set()
    iam, functions = boto3.client("iam", **stack.aws), boto3.client("lambda", **stack.aws)
    function = functions.get_function_configuration(FunctionName=stack.functions["extend_session"])
    role = function["Role"].rpartition("/")[2]
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName=policy)
    assert member.call("POST", "/session/extend", {"additionalMinutes": 15}).status == 200
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
    assert refused(stack) == {"extend_session"}
