"""The page's server, and the local AWS behind it, answer to this machine and to no web page but their own."""

import socket
from urllib.parse import urlsplit

import boto3
import pytest
import urllib3

from tests.support.deployed import NewMember
from tests.support.page import page_alone
from tests.support.system import Command
from tests.support.waiting import LIMIT_SECONDS, until
from tools.local.stack import Stack
from tools.local.workspace import Workspace

HTTP = urllib3.PoolManager(retries=False)
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
OWN = {"sec-fetch-site": "same-origin"}
TIME = "/system/sessions/2281158d-f6ac-4e6c-9bd3-d93b072671af/time"


@pytest.mark.parametrize(
    ("status", "method", "path", "headers", "body"),
    [
        (200, "GET", "/", {"host": "localhost:{port}"}, None),
        (421, "GET", "/", {"host": "evil.example:{port}"}, None),
        (421, "GET", "/system/members", {"host": "localhost.evil.example:{port}"}, None),
        (421, "GET", "/api/after-hours/session", {"host": "127.0.0.1:1"}, None),
        (421, "GET", "/lib/lit-html/lit-html.js", {"host": ""}, None),
        (403, "GET", "/system/members", {"origin": "https://evil.example"}, None),
        (403, "POST", "/system/reset", {"origin": "null"}, None),
        (403, "DELETE", "/api/after-hours/profile", {"origin": "http://127.0.0.1:1"}, None),
        (403, "PATCH", "/system/members/local-other", {"sec-fetch-site": "same-site"}, b"{}"),
        (403, "GET", "/system/events", {"sec-fetch-site": "cross-site"}, None),
        (200, "GET", "/", LINK, None),
        (200, "GET", "/reference.html", LINK, None),
        (403, "GET", "/system/members", LINK, None),
        (204, "PATCH", "/system/members/local-other", {"origin": "{page}", **OWN}, b'{"age": 31}'),
        # What the page does not need does not pass.
        (404, "GET", "/storage/{r2}/elsewhere/x", {}, None),
        (405, "POST", "/storage/{r2}", {}, None),
        (405, "PUT", "/storage/{uploads}/uploads/x", {}, None),
        (404, "GET", "/storage/{uploads}", {}, None),
        (404, "GET", "/storage/hidden/secret", {}, None),
        (405, "DELETE", "/storage/{r2}/after-hours-photos/x", {}, None),
        (404, "GET", "/api/after-hours/nothing", {}, None),
        (405, "PUT", "/api/after-hours/profile", {}, None),
        (405, "POST", "/_ministack/reset", {}, None),
        # Odd calls
        (404, "PATCH", "/system/members/nobody", {}, b"{}"),
        (400, "PATCH", "/system/members/local-other", {}, b'{"id": "x"}'),
        (400, "PATCH", "/system/members/local-other", {}, b"["),
        (400, "POST", "/system/sessions/not-an-id/time", {}, b'{"until": "end"}'),
        (400, "POST", TIME, {}, b'{"until": "ever"}'),
        (204, "POST", TIME, {}, b'{"until": "end"}'),
        (404, "GET", "/system/logs/nothing", {}, None),
        (400, "GET", "/system/logs/get_session?since=x", {}, None),
        (404, "GET", "/system/pictures/nothing", {}, None),
        (422, "POST", "/system/pictures", {}, b""),
    ],
)
def test_each_call_has_its_answer_and_none_is_for_another_page(
    stack: Stack, status: int, method: str, path: str, headers: dict[str, str], body: bytes | None
) -> None:
    page = urlsplit(stack.page_url)
    path = path.format(r2=stack.r2_bucket, uploads=stack.upload_bucket)
    sent = {name: value.format(port=page.port, page=stack.page_url) for name, value in headers.items()}
    answer = HTTP.request(method, stack.page_url + path, body=body, headers=sent)
    assert answer.status == status
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def raw(url: str, method: bytes, target: bytes, *, host: str = "", headers: bytes = b"") -> tuple[int, bytes]:
    """Send a request byte for byte, because clients put odd paths right. Return the status and the rest."""
    server = urlsplit(url)
    request = b"%b %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n%b\r\n"
    with socket.create_connection(("127.0.0.1", server.port or 0), timeout=LIMIT_SECONDS) as connection:
        connection.sendall(request % (method, target, (host or server.netloc).encode(), headers))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    line, _, rest = answer.partition(b"\r\n")
    return int(line.split()[1]), rest


@pytest.mark.parametrize("up", [b"..", b"%2e%2E", b".", b"..%2f..", b"x%2F..", b"..\\..", b"%5c..%5c..", b"..%00"])
def test_a_path_that_two_servers_could_read_differently_is_refused(stack: Stack, up: bytes) -> None:
    for route in (
        f"/storage/{stack.r2_bucket}/after-hours-photos".encode(),
        b"/lib/lit-html",
        b"/api/after-hours",
        b"",
    ):
        assert raw(stack.page_url, b"GET", b"%b/%b/%b/_ministack/health" % (route, up, up))[0] == 400


def test_a_step_up_that_is_encoded_twice_is_a_name(stack: Stack) -> None:
    for route in (f"/storage/{stack.r2_bucket}/after-hours-photos".encode(), b"/lib/lit-html", b""):
        path = b"%b/%%252e%%252e/%%252e%%252e/_ministack/health" % route
        assert raw(stack.page_url, b"GET", path)[0] in {403, 404}


@pytest.mark.parametrize("target", [b"http://%b/_ministack/health", b"//%b/_ministack/health", b"*", b"index.html"])
def test_a_target_of_another_form_leads_nowhere(stack: Stack, target: bytes) -> None:
    form = target.replace(b"%b", urlsplit(stack.aws_endpoint_url).netloc.encode())
    for method in (b"GET", b"CONNECT"):
        assert 400 <= raw(stack.page_url, method, form)[0] < 500


def test_calls_go_to_the_api_as_they_are(stack: Stack, new_member: NewMember) -> None:
    member = new_member()
    token = {"authorization": f"Bearer {member.token}", "content-type": "application/json"}

    def call(method: str, headers: dict[str, str], body: bytes | None = None) -> urllib3.BaseHTTPResponse:
        return HTTP.request(method, f"{stack.page_url}/api/after-hours/profile", headers=headers, body=body)

    assert (call("GET", {}).status, call("POST", token, b"\xff not json").status) == (401, 400)
    made = call("POST", token, b'{"description": "x"}')
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    assert member.call("GET", "/profile").body == made.json()
    gone = call("DELETE", token)
    assert (gone.status, gone.data) == (204, b"")


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"host": "localhost:{port}"}),
        (200, {"host": "10.0.2.2:{port}"}),  # this machine, to the Android emulator: an address cannot be rebound
        (403, {"host": "evil.example:{port}"}),
        (403, {"host": "localhost.evil.example"}),
        (403, {"host": "0.0.0.0:{port}"}),
        (403, {"host": ""}),
        (403, {"origin": "null"}),
        (403, {"sec-fetch-site": "cross-site"}),
    ],
)
def test_no_web_page_reaches_the_local_aws(stack: Stack, status: int, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=urlsplit(stack.aws_endpoint_url).port) for name, value in headers.items()}
    api = urlsplit(stack.api_url).path + "/session"
    for method, path in (("GET", "/_ministack/health"), ("OPTIONS", "/_ministack/reset"), ("GET", api)):
        answer = HTTP.request(method, stack.aws_endpoint_url + path, headers=sent)
        assert (answer.status == 403) == (status == 403)
        assert status == 200 or "access-control-allow-origin" not in answer.headers


def test_no_web_page_opens_a_web_socket_to_the_local_aws(stack: Stack) -> None:
    upgrade = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://evil.example\r\n"
    )
    assert raw(stack.aws_endpoint_url, b"GET", urlsplit(stack.api_url).path.encode(), headers=upgrade)[0] == 403


def test_it_runs_alone_beside_a_running_system_and_tidies_up(
    stack: Stack, workspace: Workspace, command: Command
) -> None:
    events = boto3.client("events", **stack.aws)

    def rules() -> set[str]:
        return {rule["Name"] for rule in events.list_rules(EventBusName=stack.event_bus)["Rules"]}

    before = rules()
    with page_alone(workspace):
        until(lambda: len(rules() - before) == 1)
    assert rules() == before
    port = str(urlsplit(stack.page_url).port)
    refused = command("page", "--port", port)
    assert (refused.returncode, refused.stderr) == (
        1,
        f"Port {port} is taken. Name another one: --port 0 finds one.\n",
    )
