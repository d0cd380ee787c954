"""What a newcomer meets first: what `make run` says is so, and works; it keeps to itself."""

import json
import os
import re
import subprocess
import sys
import time
from shlex import quote

import boto3
import jwt
import psutil
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tests.support.deployed import NewMember, refused
from tests.support.workspaces import processes_of
from tools.local import welcome
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace

UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nobody listens


def test_stack_file_is_complete(stack: Stack, workspace: Workspace) -> None:
    written = json.loads(workspace.stack_file.read_text())
    assert set(written) >= {
        "apiUrl", "awsEndpointUrl", "databaseUrl", "jwtSecret", "uploadBucket", "r2Bucket", "r2EndpointUrl",
        "scheduleGroup", "eventBus", "functions", "users",
    }  # fmt: skip
    assert written["apiUrl"].endswith("/api/after-hours")
    assert set(written["users"]) == {"entitled", "other", "noPremium", "unverified", "noConsent"}
    assert Stack.load(workspace) == stack
    assert workspace.stack_file.stat().st_mode & 0o077 == 0


def test_a_saved_address_and_a_saved_token_keep_working(stack: Stack, workspace: Workspace) -> None:
    """Nothing in the address but the port may differ from run to run; the secret is one that the workspace keeps."""
    assert stack.api_url == f"{stack.aws_endpoint_url}/_aws/execute-api/after-hours/api/after-hours"
    assert workspace.kept_secret("jwt-secret") == stack.jwt_secret
    assert workspace.kept_secret("jwt-secret") == stack.jwt_secret


def test_stack_file_names_every_function_as_deployed(stack: Stack) -> None:
    folders = {handler.parent.name for handler in (REPOSITORY / "functions").glob("*/handler.py")}
    assert set(stack.functions) == folders
    client = boto3.client("lambda", **stack.aws)
    for name in stack.functions.values():
        assert client.get_function(FunctionName=name)["Configuration"]["FunctionName"] == name


def test_schedule_group_exists(stack: Stack) -> None:
    group = boto3.client("scheduler", **stack.aws).get_schedule_group(Name=stack.schedule_group)
    assert group["State"] == "ACTIVE"


def test_tokens_last_a_day(stack: Stack) -> None:
    for user in stack.users.values():
        claims = jwt.decode(user.token, stack.jwt_secret, algorithms=["HS256"])
        assert claims["userId"] == user.id
        assert claims["exp"] - time.time() > 23 * 60 * 60


def test_database_demands_the_password(stack: Stack, connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert cursor.fetchall() == [("scram-sha-256",)]


def test_everything_listens_on_loopback_only(stack: Stack, workspace: Workspace, new_member: NewMember) -> None:
    new_member().call("GET", "/session")  # so that there is a worker, too
    listening = {
        (process.name(), socket.laddr.ip)
        for process in processes_of(workspace)
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert len(listening) >= 2
    assert {address for _, address in listening} == {"127.0.0.1"}


def pasted(workspace: Workspace, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell that has sourced the exports. It has a proxy that answers nothing, and an account."""
    foreign = {"HTTP_PROXY": UNREACHABLE, "http_proxy": UNREACHABLE, "AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "mine"}
    return subprocess.run(
        ["bash", "-c", f"source {quote(str(workspace.exports))}; {line}"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True, env=os.environ | foreign,
    )  # fmt: skip


def test_the_printed_lines_work_as_they_stand_again_and_again(stack: Stack, workspace: Workspace) -> None:
    lines = welcome.calls(workspace.photo)
    assert all(line in welcome.text(stack, workspace) for line in lines.values())
    for _ in range(2):
        pastes = [pasted(workspace, line) for line in lines.values()]
        assert [paste.stderr.split()[-1] for paste in pastes if paste.stderr] == [
            "201", "204", "200", "201", "201", "200", "200", "200", "204",
        ]  # fmt: skip
        profile, taken, sent, seen, preferences, *sessions, left = [paste.stdout for paste in pastes]
        assert json.loads(profile)["profile"]["userId"] == stack.users["entitled"].id
        assert "'GPS': 4" in taken
        assert sent.strip() == ""
        assert "status: ready" in seen
        assert "'upright': True, 'progressive': True, 'EXIF': 0, 'GPS': 0, 'other metadata': []" in seen
        assert json.loads(preferences)["preferences"]["maxDistanceKm"] == 5
        assert len({json.loads(session)["session"]["id"] for session in sessions}) == 1
        assert left.strip() == ""


def test_exported_tokens_work_as_printed(stack: Stack, workspace: Workspace) -> None:
    answer = pasted(workspace, 'curl -sS -H "Authorization: Bearer $TOKEN_NO_CONSENT" "$API/session"')
    assert json.loads(answer.stdout)["code"] == "CONSENT_REQUIRED"
    assert workspace.exports.stat().st_mode & 0o077 == 0


def test_sample_events_are_files_that_aws_sends(stack: Stack, workspace: Workspace) -> None:
    """The line of README, for the AWS command line that comes with the local AWS."""
    [line] = re.findall(r"^(aws lambda invoke .*)$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    line = line.replace(".local/events", quote(str(workspace.events)))
    said = pasted(workspace, line).stdout
    assert json.JSONDecoder().raw_decode(said)[0]["statusCode"] == 200


def test_demo_passes_and_leaves_no_trace(stack: Stack, workspace: Workspace, connection: Connection) -> None:
    before = _everything(connection)
    demo = subprocess.run(
        [sys.executable, "-m", "tools.local.demo", "--workspace", workspace.root], cwd=REPOSITORY, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (demo.returncode, demo.stderr) == (0, "")
    assert demo.stdout.splitlines()[-1].endswith("All as promised.")
    assert _everything(connection) == before
    assert refused(stack) == set(), "the whole story, and no function lacked a right"


def test_second_system_in_the_same_workspace_is_refused(stack: Stack, workspace: Workspace) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "tools.local.run", "--workspace", workspace.root], cwd=REPOSITORY, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert "already running" in second.stderr
    assert Stack.load(workspace) == stack


def _everything(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """The rows of all tables of the members."""
    rows = {}
    with connection.cursor() as cursor:
        for table in ("users", "profiles", "user_subscriptions", "after_hours_profiles", "after_hours_sessions",
                      "after_hours_photo_uploads", "after_hours_outbox"):  # fmt: skip
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
            rows[table] = cursor.fetchall()
    return rows
