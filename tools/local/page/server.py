"""The page's server: static files, a proxy to the API and to the local S3, and what it reads behind the API.

It has no rules of After Hours: it forwards requests for the API, and their answers, unchanged.
"""

import logging
import socket
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from botocore.exceptions import BotoCoreError
from flask import Flask, Response, request, send_file, send_from_directory
from flask.typing import ResponseReturnValue
from psycopg2 import OperationalError
from werkzeug.serving import make_server

from infra.endpoints import ENDPOINTS, PREFIX
from tools.local import calls
from tools.local.page import picture
from tools.local.page.backstage import Backstage, Moment
from tools.local.page.catalogue import CONTRACT, catalogue
from tools.local.page.events import Listener, listening
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, CommandError, Workspace

_LIBRARIES = REPOSITORY / "node_modules"
_LARGEST_BODY = 30 * 1024 * 1024  # more than S3 takes, so that S3 is seen to refuse it
_PHOTOS = "after-hours-photos"  # the folder of the photo bucket that presigned addresses lead to
_HANDED_BACK = ("content-type", "cache-control", "retry-after", "apigw-requestid")
_HEADERS = {
    # Swagger UI styles its elements one by one.
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def serve(workspace: Workspace, port: int) -> None:
    """`make page`: serve the page for the system that runs here, until Ctrl-C. `make run` does so by itself."""
    stack = Stack.load(workspace)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each call
    try:
        server_socket = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise CommandError(f"Port {port} is taken. Name another one: --port 0 finds one.") from error
    with server_socket, suppress(KeyboardInterrupt), listening(stack) as listener:
        host, port = server_socket.getsockname()
        print(f"The page is at http://{host}:{port}", flush=True)
        app = Page(stack, listener).application()
        make_server(host, port, app, threaded=True, fd=server_socket.fileno()).serve_forever()


class _Text(Response):
    default_mimetype = "text/plain"


class Page:
    """The page of one running system."""

    def __init__(self, stack: Stack, listener: Listener) -> None:
        self._stack = stack
        self._backstage = Backstage(stack)
        self._listener = listener

    def application(self) -> Flask:
        app = Flask(__name__, static_url_path="")
        app.response_class = _Text
        app.config.update(MAX_CONTENT_LENGTH=_LARGEST_BODY, TRUSTED_HOSTS=["127.0.0.1", "localhost"])
        app.before_request(_refuse_other_pages)
        app.after_request(_with_headers)
        app.register_error_handler(ValueError, _invalid)
        for error in (BotoCoreError, OperationalError, OSError):
            app.register_error_handler(error, _not_running)
        for endpoint in ENDPOINTS:
            app.route(PREFIX + endpoint.path, endpoint=endpoint.function, methods=[endpoint.method])(self.to_the_api)
        app.post(f"/storage/{self._stack.upload_bucket}")(self.to_uploads)
        app.get(f"/storage/{self._stack.r2_bucket}/{_PHOTOS}/<path:key>")(self.to_photos)
        app.get("/system/catalogue", endpoint="catalogue")(lambda: catalogue(self._stack))
        app.get("/system/state")(self.state)
        app.get("/system/logs/<function>")(self.log)
        app.put("/system/members")(self.save_member)
        app.post("/system/sessions/<uuid:session_id>/time")(self.time)
        app.post("/system/reset")(self.reset)
        app.post("/system/pictures")(self.look)
        app.get("/system/pictures/<name>", endpoint="sample")(lambda name: picture.samples()[name])
        app.get("/", endpoint="index")(lambda: app.send_static_file("index.html"))
        app.get("/openapi.json", endpoint="contract")(lambda: send_file(CONTRACT))
        app.get("/lib/<path:file>", endpoint="library")(lambda file: send_from_directory(_LIBRARIES, file))
        return app

    def to_the_api(self) -> Response:
        return _forwarded(self._stack.api_url + request.path.removeprefix(PREFIX))

    def to_uploads(self) -> Response:
        return _forwarded(f"{self._stack.aws_endpoint_url}/{self._stack.upload_bucket}")

    def to_photos(self, key: str) -> Response:
        return _forwarded(f"{self._stack.r2_endpoint_url}/{self._stack.r2_bucket}/{_PHOTOS}/{key}")

    def state(self) -> dict[str, Any]:
        """Return all members, and the state and the events of one or two of them."""
        return {
            "members": self._backstage.members(),
            "behind": {
                user_id: {**self._backstage.state(user_id), "events": self._listener.events_of(user_id)}
                for user_id in request.args.getlist("member")
            },
        }

    def log(self, function: str) -> dict[str, Any]:
        since = datetime.fromtimestamp(int(request.args["since"]) / 1000, UTC)
        lines, duration = self._backstage.log_of_last_call(function, since)
        return {"lines": [str(line) for line in lines], "duration": duration}

    def save_member(self) -> list[dict[str, Any]]:
        """Make or change a member. Return all of them."""
        self._backstage.save_member(request.get_json(force=True))
        return self._backstage.members()

    def time(self, session_id: UUID) -> ResponseReturnValue:
        self._backstage.let_time_pass(session_id, Moment(request.get_json(force=True)["until"]))
        return "", HTTPStatus.NO_CONTENT

    def reset(self) -> ResponseReturnValue:
        self._backstage.reset()
        self._listener.forget()
        return "", HTTPStatus.NO_CONTENT

    def look(self) -> ResponseReturnValue:
        try:
            return picture.look(request.get_data())
        except OSError:
            return "This cannot be read as a picture.", HTTPStatus.UNPROCESSABLE_ENTITY


def _refuse_other_pages() -> ResponseReturnValue | None:
    """Refuse the calls of other web pages: a form or a script on any of them could reach the system.

    Browsers set these headers, and scripts cannot. `TRUSTED_HOSTS` refuses names that point to 127.0.0.1.
    """
    is_own = request.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}
    is_own &= request.headers.get("origin", request.host_url.rstrip("/")) == request.host_url.rstrip("/")
    is_link = request.headers.get("sec-fetch-mode") == "navigate" and request.path == "/"
    if is_own or (is_link and request.method == "GET"):
        return None
    return "Only this page itself may do that.", HTTPStatus.FORBIDDEN


def _with_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response


def _forwarded(url: str) -> Response:
    sent = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
    query = request.query_string.decode()
    answer = calls.request(
        request.method, f"{url}?{query}" if query else url, headers=sent, body=request.get_data() or None
    )
    handed_back = {name: answer.headers[name] for name in _HANDED_BACK if name in answer.headers}
    return Response(answer.data, answer.status, handed_back)


def _invalid(error: Exception) -> ResponseReturnValue:
    return str(error), HTTPStatus.BAD_REQUEST


def _not_running(_: Exception) -> ResponseReturnValue:
    away = {"x-system": "away"}  # because API Gateway says 502, too
    return "The system does not answer. Does `make run` still run?", HTTPStatus.BAD_GATEWAY, away
