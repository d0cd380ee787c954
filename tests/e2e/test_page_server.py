"""The page's server, and the local AWS behind it, answer to this machine and to no web page but their own."""

import socket
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.support.system import Command
from tests.support.waiting import LIMIT_SECONDS
from tools.local.stack import Stack

HTTP = urllib3.PoolManager(retries=False)
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
TIME = "/system/sessions/2281158d-f6ac-4e6c-9bd3-d93b072671af/time"


@pytest.mark.parametrize(
    ("status", "method", "path", "headers", "body"),
    [
        (200, "GET", "/", {"host": "localhost:{port}"}, None),
        (400, "GET", "/system/state", {"host": "localhost.evil.example:{port}"}, None),
        (400, "GET", "/api/after-hours/session", {"host": ""}, None),
        (403, "PUT", "/system/members", {"origin": "null"}, b"{}"),
        (403, "POST", "/system/reset", {"origin": "null"}, None),
        (403, "DELETE", "/api/after-hours/profile", {"origin": "http://127.0.0.1:1"}, None),
        (403, "PUT", "/system/members", {"sec-fetch-site": "same-site"}, b"{}"),
        (200, "GET", "/", LINK, None),
        (403, "GET", "/system/state", LINK, None),
        (403, "POST", "/", LINK, None),
        # What the page does not need does not pass.
        (404, "GET", "/storage/{r2}/elsewhere/x", {}, None),
        (405, "PUT", "/storage/{uploads}", {}, None),
        (405, "PUT", "/api/after-hours/profile", {}, None),
        (405, "POST", "/_ministack/reset", {}, None),
        (404, "GET", "/lib/lit-html/../../package.json", {}, None),
        # The body of a request that the page needs is checked.
        (400, "PUT", "/system/members", {}, b'{"id": "x"}'),
        (400, "POST", TIME, {}, b'{"until": "ever"}'),
        (204, "POST", TIME, {"origin": "{page}", "sec-fetch-site": "same-origin"}, b'{"until": "end"}'),
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
    """Sent byte for byte, because HTTP clients open no web sockets."""
    server = urlsplit(stack.api_url)
    upgrade = (
        f"GET {server.path} HTTP/1.1\r\nHost: {server.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://evil.example\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port or 0), timeout=LIMIT_SECONDS) as connection:
        connection.sendall(upgrade.encode())
        assert connection.recv(1024).split()[1] == b"403"


def test_a_port_that_is_taken_is_refused_in_one_sentence(stack: Stack, command: Command) -> None:
    port = str(urlsplit(stack.page_url).port)
    refused = command("page", "--port", port)
    sentence = f"Port {port} is taken. Name another one: --port 0 finds one.\n"
    assert (refused.returncode, refused.stderr) == (1, sentence)
