"""The page's server: it answers to its own name, takes changes from its own page, and hands calls on as they are."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import boto3
import pytest
import urllib3

from tests.support.deployed import NewMember
from tests.support.page import page_alone
from tests.support.waiting import LIMIT_SECONDS, until
from tests.support.workspaces import temporary_workspace
from tools.local import welcome
from tools.local.page import catalogue
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace

HTTP = urllib3.PoolManager(retries=False)


def call(
    stack: Stack, method: str, path: str, body: bytes | None = None, /, **headers: str
) -> urllib3.BaseHTTPResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTP.request(method, stack.page_url + path, body=body, headers=named)


def port(stack: Stack) -> int:
    return urlsplit(stack.page_url).port or 0


def own_host(stack: Stack) -> bytes:
    return urlsplit(stack.page_url).netloc.encode()


def raw(port: int | None, method: bytes, target: bytes, host: bytes, headers: bytes = b"") -> tuple[int, bytes]:
    """Send a request byte for byte: clients put odd paths right. Return the status and what follows it."""
    with socket.create_connection(("127.0.0.1", port or 0), timeout=LIMIT_SECONDS) as connection:
        connection.sendall(
            b"%b %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n%b\r\n" % (method, target, host, headers)
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    line, _, rest = answer.partition(b"\r\n")
    return int(line.split()[1]), rest


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


OTHER_PAGES = [
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "null"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
]


@pytest.mark.parametrize("headers", OTHER_PAGES, ids=str)
def test_another_page_is_refused(stack: Stack, headers: dict[str, str]) -> None:
    before = call(stack, "GET", "/system/members").json()
    for method, path in (
        ("GET", "/system/members"),
        ("GET", "/system/events"),
        ("GET", f"/storage/{stack.r2_bucket}/after-hours-photos/x"),
        ("GET", "/api/after-hours/session"),
        ("POST", "/system/members"),
        ("POST", "/system/reset"),
        ("PATCH", "/system/members/local-entitled"),
        ("DELETE", "/api/after-hours/profile"),
    ):
        assert call(stack, method, path, b"{}", **headers).status == 403
    assert [each["id"] for each in call(stack, "GET", "/system/members").json()] == [each["id"] for each in before]


def test_a_link_on_another_page_opens_the_page_alone(stack: Stack) -> None:
    followed = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    for path, status in (("/", 200), ("/reference.html", 200), ("/system/members", 403), ("/openapi.json", 403)):
        assert call(stack, "GET", path, **followed).status == status


@pytest.mark.parametrize("headers", OTHER_PAGES, ids=str)
def test_no_web_page_reaches_the_local_aws(stack: Stack, headers: dict[str, str]) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for method, path in (
        ("POST", "/_ministack/reset"),
        ("OPTIONS", "/_ministack/reset"),
        ("GET", "/_ministack/health"),
        ("GET", f"/{stack.r2_bucket}"),
        ("POST", "/"),
        ("GET", urlsplit(stack.api_url).path + "/session"),
    ):
        refused = HTTP.request(method, stack.aws_endpoint_url + path, headers=named)
        assert (refused.status, refused.headers.get("access-control-allow-origin")) == (403, None)
    assert stack.users["entitled"].id in {each["id"] for each in call(stack, "GET", "/system/members").json()}
    assert call(stack, "GET", "/api/after-hours/session").status == 401  # the reset would have taken the API


@pytest.mark.parametrize(
    ("host", "is_let_in"),
    [
        ("127.0.0.1:{port}", True),
        ("localhost:{port}", True),
        ("[::1]:{port}", True),
        ("10.0.2.2:{port}", True),  # this machine, to the Android emulator; an address is no name that could be rebound
        ("evil.example:{port}", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:{port}", False),
        ("0.0.0.0:{port}", False),
        ("", False),
    ],
)
def test_the_local_aws_answers_to_this_machines_names_alone(stack: Stack, host: str, is_let_in: bool) -> None:
    address = urlsplit(stack.aws_endpoint_url)
    named = host.format(port=address.port)
    status = raw(address.port, b"GET", b"/_ministack/health", named.encode())[0]
    assert status == (200 if is_let_in else 403)


def test_no_web_page_opens_a_web_socket_to_the_local_aws(stack: Stack) -> None:
    address = urlsplit(stack.aws_endpoint_url)
    upgrade = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://evil.example\r\n"
    )
    path = urlsplit(stack.api_url).path.encode()
    assert raw(address.port, b"GET", path, address.netloc.encode(), upgrade)[0] == 403


# Ways to write the steps from a path to its neighbours, as servers and clients differ in reading them.
UP = [
    b"..", b"%2e%2e", b".%2e", b"%2E.", b"..%2f..", b"%2f..%2f..", b"..%2F..%2F..", b"..\\..", b"..%5c..",
    b"%5c..%5c..", b".", b"%2e", b"x%2f..%2f..", b"..%00", b"..;/..",
]  # fmt: skip
DOUBLY = [b"%252e%252e", b"..%252f..", b"%252f..%252f..", b"%25252e%25252e", b"..%255c.."]


def prefixes(stack: Stack) -> list[bytes]:
    """One of each kind of route."""
    return [
        each.encode()
        for each in (
            "/api/after-hours",
            "/api/after-hours/profile",
            f"/storage/{stack.r2_bucket}",
            f"/storage/{stack.r2_bucket}/after-hours-photos",
            f"/storage/{stack.upload_bucket}",
            "/system",
            "/system/members",
            "/system/logs",
            "/system/pictures",
            "/lib/lit-html",
            "",
        )
    ]


@pytest.fixture(scope="module")
def hidden(stack: Stack) -> Iterator[bytes]:
    """The name of a bucket that is none of the page's, which says so to all who can read it."""
    s3 = boto3.client("s3", **stack.aws)
    s3.create_bucket(Bucket="hidden")
    s3.delete_public_access_block(Bucket="hidden")
    s3.put_object(Bucket="hidden", Key="secret", Body=b"what is hidden")
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::hidden/*"]}
    s3.put_bucket_policy(Bucket="hidden", Policy=json.dumps({"Version": "2012-10-17", "Statement": [everyone]}))
    assert HTTP.request("GET", f"{stack.aws_endpoint_url}/hidden/secret").data == b"what is hidden"
    yield b"hidden"
    s3.delete_object(Bucket="hidden", Key="secret")
    s3.delete_bucket(Bucket="hidden")


@pytest.mark.parametrize("up", UP + DOUBLY, ids=bytes.decode)
def test_no_path_leaves_its_route(stack: Stack, hidden: bytes, up: bytes) -> None:
    for prefix in prefixes(stack):
        for target in (hidden + b"/secret", b"_ministack/health", b"_ministack/reset", b"server.py", b"package.json"):
            for steps in {up, b"/".join([up] * 5)}:
                path = b"%b/%b/%b" % (prefix, steps, target)
                for method in (b"GET", b"POST"):
                    status, body = raw(port(stack), method, path, own_host(stack))
                    assert 400 <= status < 500, (method, path, status)
                    assert b"what is hidden" not in body
                    assert b"services" not in body  # of MiniStack's health


@pytest.mark.parametrize(
    "target", [b"%b/_ministack/reset", b"%b/hidden/secret", b"//%b/hidden/secret", b"*", b"hidden"]
)
def test_a_target_of_another_form_leads_nowhere(stack: Stack, hidden: bytes, target: bytes) -> None:
    for url in (stack.aws_endpoint_url, "http://evil.example"):
        form = target.replace(b"%b", (url if b"//%b" not in target else urlsplit(url).netloc).encode())
        for method in (b"GET", b"POST", b"CONNECT"):
            status, body = raw(port(stack), method, form, own_host(stack))
            assert 400 <= status < 500, (method, form, status)
            assert b"what is hidden" not in body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/storage/hidden/secret"),
        ("POST", "/storage/hidden"),
        ("GET", "/storage/{uploads}/uploads/x"),
        ("GET", "/storage/{r2}"),
        ("GET", "/storage/{r2}/"),
        ("GET", "/storage/{r2}/elsewhere/x"),
        ("POST", "/storage/{r2}"),
        ("POST", "/storage/{uploads}/uploads/x"),
        ("POST", "/storage/{uploads}/"),
        ("PUT", "/storage/{uploads}/uploads/x"),
        ("DELETE", "/storage/{r2}/after-hours-photos/x"),
        ("GET", "/storage/"),
        ("GET", "/api/after-hours/"),
        ("GET", "/api/after-hours/nothing"),
        ("GET", "/api/after-hours/profile/"),
        ("PUT", "/api/after-hours/profile"),
        ("POST", "/_ministack/reset"),
        ("GET", "/../server.py"),
    ],
)
def test_only_what_the_page_needs_passes(stack: Stack, hidden: bytes, method: str, path: str) -> None:
    answer = call(stack, method, path.format(uploads=stack.upload_bucket, r2=stack.r2_bucket))
    assert answer.status in {404, 405}
    assert not {"x-amz-request-id", "apigw-requestid"} & set(answer.headers)
    assert b"what is hidden" not in answer.data


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
        command = [
            sys.executable,
            "-m",
            "tools.local.page",
            "--workspace",
            str(workspace.root),
            "--port",
            str(port(stack)),
        ]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        return done.stderr

    assert said(workspace) == f"Port {port(stack)} is taken. Name another one: --port 0 finds one.\n"
    with temporary_workspace() as empty:
        assert "No system is running here" in said(empty)
