"""The page's server: it answers to its own name, takes changes from its own page, and hands calls on as they are."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import boto3
import pytest
import urllib3

from local import welcome
from local.page import catalogue
from local.stack import Stack
from local.workspace import REPOSITORY, Workspace
from tests.support.deployed import NewMember
from tests.support.waiting import until
from tests.support.workspaces import temporary_workspace

HTTP = urllib3.PoolManager(retries=False)


def call(
    stack: Stack, method: str, path: str, body: bytes | None = None, /, **headers: str
) -> urllib3.BaseHTTPResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTP.request(method, stack.page_url + path, body=body, headers=named)


def port(stack: Stack) -> int:
    return urlsplit(stack.page_url).port or 0


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""]
)
def test_another_host_name_is_misdirected(stack: Stack, host: str) -> None:
    for path in ("/", "/system/members", "/api/after-hours/session", "/lib/lit-html/lit-html.js"):
        assert call(stack, "GET", path, host=host.format(port=port(stack))).status == 421


def test_make_run_prints_its_address_first(stack: Stack, workspace: Workspace) -> None:
    assert welcome.text(stack, workspace).startswith(f"Play it all in a browser: {stack.page_url}\n")


def test_both_of_its_names_are_answered(stack: Stack) -> None:
    for name in ("127.0.0.1", "localhost"):
        assert call(stack, "GET", "/", host=f"{name}:{port(stack)}").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
    ids=str,
)
def test_a_change_from_another_page_is_refused(stack: Stack, headers: dict[str, str]) -> None:
    before = call(stack, "GET", "/system/members").json()
    for method, path in (
        ("POST", "/system/members"),
        ("POST", "/system/reset"),
        ("PATCH", "/system/members/local-entitled"),
        ("DELETE", "/api/after-hours/profile"),
    ):
        assert call(stack, method, path, b"{}", **headers).status == 403
    assert [each["id"] for each in call(stack, "GET", "/system/members").json()] == [each["id"] for each in before]


def test_its_own_page_may_change_things(stack: Stack) -> None:
    own = {"origin": stack.page_url, "sec_fetch_site": "same-origin"}
    assert call(stack, "PATCH", "/system/members/local-other", b'{"age": 31}', **own).status == 204


def test_no_answer_is_for_another_page(stack: Stack) -> None:
    for path in ("/", "/system/members"):
        headers = call(stack, "GET", path, origin="https://evil.example").headers
        assert "access-control-allow-origin" not in headers
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'self'" in headers["content-security-policy"]


def test_calls_go_to_the_api_as_they_are(stack: Stack, new_member: NewMember) -> None:
    member = new_member()
    token = {"authorization": f"Bearer {member.token}"}
    sent = token | {"content_type": "application/json"}
    refused = call(stack, "GET", "/api/after-hours/session")
    assert (refused.status, refused.json()["code"]) == (401, "UNAUTHORIZED")
    odd = call(stack, "POST", "/api/after-hours/profile", b"\xff not json", **sent)
    assert (odd.status, odd.json()["code"]) == (400, "VALIDATION_ERROR")
    made = call(stack, "POST", "/api/after-hours/profile", b'{"description": "x"}', **sent)
    assert made.status == 201
    assert made.headers["content-type"] == "application/json"
    assert made.headers["cache-control"] == "no-store"
    assert member.call("GET", "/profile").body == made.json()
    gone = call(stack, "DELETE", "/api/after-hours/profile", None, **token)
    assert (gone.status, gone.data) == (204, b"")
    assert call(stack, "GET", "/api/after-hours/nothing", None, **token).status == 404


def test_storage_leads_to_the_two_buckets_alone(stack: Stack) -> None:
    boto3.client("s3", **stack.aws).create_bucket(Bucket="somebody-elses")
    assert call(stack, "GET", "/storage/somebody-elses/x").status == 404
    assert call(stack, "GET", "/storage/somebody-elses/x").json()["error"] == "There is no such bucket here."


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/system/members/nobody", b"{}", 404),
        ("PATCH", "/system/members/local-other", b'{"id": "x"}', 400),
        ("PATCH", "/system/members/local-other", b"[", 400),
        ("POST", "/system/sessions/not-an-id/time", b'{"until": "end"}', 400),
        ("POST", "/system/sessions/2281158d-f6ac-4e6c-9bd3-d93b072671af/time", b'{"until": "ever"}', 400),
        ("POST", "/system/sessions/2281158d-f6ac-4e6c-9bd3-d93b072671af/time", b'{"until": "end"}', 204),
        ("GET", "/system/logs/nothing", None, 404),
        ("GET", "/system/logs/get_session?since=x", None, 400),
        ("GET", "/system/pictures/nothing", None, 404),
        ("POST", "/system/pictures", b"no picture", 422),
        ("POST", "/system/pictures", b"", 422),
        ("GET", "/../server.py", None, 404),
    ],
)
def test_odd_calls_get_an_answer(stack: Stack, method: str, path: str, body: bytes | None, status: int) -> None:
    assert call(stack, method, path, body).status == status


def test_every_sample_is_offered_with_what_comes_of_it(stack: Stack) -> None:
    offered = call(stack, "GET", "/system").json()["endpoints"]
    assert offered == json.loads(json.dumps(catalogue.endpoints()))
    starts = next(each for each in offered if each["function"] == "start_session")
    assert {sample["name"]: sample["status"] for sample in starts["samples"]}["null_island"] == 400
    assert all(each["samples"] for each in offered)


@contextmanager
def page_alone(workspace: Workspace) -> Iterator[str]:
    command = [sys.executable, "-m", "local.page", "--workspace", str(workspace.root), "--port", "0"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
        process.terminate()
        process.wait()


def test_it_runs_alone_beside_a_running_system_and_tidies_up(stack: Stack, workspace: Workspace) -> None:
    events = boto3.client("events", **stack.aws)

    def rules() -> set[str]:
        return {rule["Name"] for rule in events.list_rules(EventBusName=stack.event_bus)["Rules"]}

    before = rules()
    with page_alone(workspace) as url:
        until(lambda: _answers(url))
        assert len(rules() - before) == 1
    assert rules() == before


def _answers(url: str) -> bool:
    try:
        return bool(HTTP.request("GET", url).status == 200)
    except urllib3.exceptions.HTTPError:
        return False


def test_a_taken_port_and_a_system_that_does_not_run_are_told(stack: Stack, workspace: Workspace) -> None:
    def said(workspace: Workspace) -> str:
        command = [sys.executable, "-m", "local.page", "--workspace", str(workspace.root), "--port", str(port(stack))]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        return done.stderr

    assert said(workspace) == f"Port {port(stack)} is taken. Name another one: --port 0 finds one.\n"
    with temporary_workspace() as empty:
        assert "No system is running here" in said(empty)
