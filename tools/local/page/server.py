"""The page's server: static files, a proxy to the API and to the local S3, and what it reads behind the API.

It has no rules of After Hours: it forwards requests for the API, and their answers, unchanged.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID, uuid4

import urllib3
from botocore.exceptions import BotoCoreError
from psycopg2 import OperationalError
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, DispatchFunction, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from infra.endpoints import ENDPOINTS, PREFIX
from tools.local.page import catalogue, picture
from tools.local.page.backstage import Backstage, MemberDetails, Moment, NoSuchMemberError
from tools.local.page.events import Listener
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY

_STATIC = Path(__file__).with_name("static")
_LIBRARIES = {
    "lit-html": REPOSITORY / "node_modules" / "lit-html",
    "inter": REPOSITORY / "node_modules" / "@fontsource-variable" / "inter",
    "swagger-ui": REPOSITORY / "node_modules" / "swagger-ui-dist",
}
_LARGEST_BODY = 30 * 1024 * 1024  # more than S3 takes, so that S3 is seen to refuse it
_ANSWER_SECONDS = 300
_PHOTOS = "after-hours-photos"  # the folder of the photo bucket that presigned addresses lead to
_HANDED_BACK = ("content-type", "cache-control", "retry-after", "apigw-requestid")
_PAGES = ("/", "/index.html", "/reference.html")  # what a link on another page may open
_READ_DIFFERENTLY = re.compile(r"^\.{1,2}$|[/\\\x00-\x1f\x7f]")  # in a part of a path, by one server and the next
_HEADERS = {
    # Swagger UI styles its elements one by one.
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def application(stack: Stack, port: int) -> Starlette:
    """Return the page's application for this running system, to be served on this port of 127.0.0.1."""
    page = Page(stack)

    @asynccontextmanager
    async def listening(_: Starlette) -> AsyncIterator[None]:
        with page.listener.listening():
            yield

    return Starlette(
        routes=page.routes(),
        lifespan=listening,
        max_body_size=_LARGEST_BODY,
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_own_page_only(port))],
        exception_handlers={
            ValidationError: _invalid,
            ValueError: _invalid,
            NoSuchMemberError: lambda *_: _problem(HTTPStatus.NOT_FOUND, "There is no such member."),
            OperationalError: _not_running,
            BotoCoreError: _not_running,
            urllib3.exceptions.HTTPError: _not_running,
        },
    )


def _own_page_only(port: int) -> DispatchFunction:
    """Refuse other host names than the page's own, other pages, and paths that leave theirs.

    Otherwise a host name that points to 127.0.0.1 (DNS rebinding) or a form on any web page could reach the system.
    """
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")

    def refusal(request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if host not in hosts:
            return PlainTextResponse(f"This is {hosts[0]}.\n", HTTPStatus.MISDIRECTED_REQUEST)
        if not (_is_from_own_page(request, host) or _is_link_to_page(request)):
            return PlainTextResponse("Only this page itself may do that.\n", HTTPStatus.FORBIDDEN)
        if not _means_one_path(request.scope["raw_path"].decode("latin-1")):
            return PlainTextResponse("This path can be read in two ways.\n", HTTPStatus.BAD_REQUEST)
        return None

    async def answered(request: Request, call_next: RequestResponseEndpoint) -> Response:
        answer = refusal(request) or await call_next(request)
        answer.headers.update(_HEADERS)
        return answer

    return answered


def _is_from_own_page(request: Request, host: str) -> bool:
    """Whether our page sends the request, or no page does. Browsers set these headers, and scripts cannot."""
    origins = set(request.headers.getlist("origin"))
    sites = set(request.headers.getlist("sec-fetch-site"))
    return origins <= {f"http://{host}"} and sites <= {"same-origin", "none"}


def _is_link_to_page(request: Request) -> bool:
    return (
        request.method == "GET"
        and request.scope["path"] in _PAGES
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )


def _means_one_path(raw_path: str) -> bool:
    """Whether every server reads this path alike: it has no dot segments, encoded slashes or backslashes.

    What is encoded twice is a name for the next server, too: each decodes once.
    """
    root, *parts = raw_path.split("/")
    return not root and not any(_READ_DIFFERENTLY.search(unquote(part)) for part in parts)


class Page:
    """What the routes do. Starlette runs those that are no coroutines in threads: they wait for AWS or the database."""

    def __init__(self, stack: Stack) -> None:
        self.listener = Listener(stack)
        self._instance = str(uuid4())
        self._stack = stack
        self._backstage = Backstage(stack)
        self._http = urllib3.PoolManager(maxsize=16, timeout=_ANSWER_SECONDS, retries=False)

    def routes(self) -> list[Route | Mount]:
        return [
            *(Route(PREFIX + each.path, self.to_the_api, methods=[each.method]) for each in ENDPOINTS),
            Route(f"/storage/{self._stack.upload_bucket}", self.to_uploads, methods=["POST"]),
            Route(f"/storage/{self._stack.r2_bucket}/{_PHOTOS}/{{key:path}}", self.to_photos),
            Route("/openapi.json", self.contract),
            Route("/system", self.system),
            Route("/system/events", self.events),
            Route("/system/members", self.members, methods=["GET", "POST"]),
            Route("/system/members/{id}", self.member, methods=["PATCH"]),
            Route("/system/members/{id}/state", self.state),
            Route("/system/sessions/{id}/time", self.time, methods=["POST"]),
            Route("/system/logs/{function}", self.log),
            Route("/system/pictures", self.look, methods=["POST"]),
            Route("/system/pictures/{name}", self.sample_picture),
            Route("/system/reset", self.reset, methods=["POST"]),
            *(Mount(f"/lib/{name}", StaticFiles(directory=folder)) for name, folder in _LIBRARIES.items()),
            Mount("/", StaticFiles(directory=_STATIC, html=True)),
        ]

    async def to_the_api(self, request: Request) -> Response:
        url = self._stack.api_url + request.scope["path"].removeprefix(PREFIX)
        return await self._forwarded(request, url, "authorization", "content-type")

    async def to_uploads(self, request: Request) -> Response:
        """Forward a form that was signed for the upload bucket."""
        return await self._forwarded(
            request, f"{self._stack.aws_endpoint_url}/{self._stack.upload_bucket}", "content-type"
        )

    async def to_photos(self, request: Request) -> Response:
        """Forward to a presigned address, as it is written: its signature is for the bucket's own host and path."""
        path = request.scope["raw_path"].decode().removeprefix("/storage")
        return await self._forwarded(request, self._stack.r2_endpoint_url + path)

    async def _forwarded(self, request: Request, url: str, *sent_on: str) -> Response:
        body = await request.body()
        answer = await run_in_threadpool(
            self._http.request,
            request.method,
            f"{url}?{query}" if (query := request.url.query) else url,
            body=body or None,
            headers={name: request.headers[name] for name in sent_on if name in request.headers},
            redirect=False,
        )
        headers = {name: answer.headers[name] for name in _HANDED_BACK if name in answer.headers}
        return Response(answer.data, answer.status, headers)

    def contract(self, _: Request) -> Response:
        return JSONResponse(catalogue.contract())

    def system(self, _: Request) -> Response:
        return JSONResponse(
            {
                "instance": self._instance,  # a page reloads when this changes, for its state is gone
                "apiUrl": self._stack.api_url.removesuffix(PREFIX),
                "endpoints": catalogue.endpoints(),
                "choices": catalogue.choices(),
                "functions": sorted(self._stack.functions),
                "heard": self.listener.last,  # events up to this number are old: what they changed is there to be read
            }
        )

    async def events(self, request: Request) -> Response:
        """Stream domain events to an EventSource, which names the last one it got when it connects again."""
        seen = int(request.headers.get("last-event-id", "0"))

        async def stream() -> AsyncIterator[str]:
            yield "retry: 2000\n\n"
            async for heard in self.listener.after(seen):
                yield f"id: {heard.number}\ndata: {json.dumps(heard.event)}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def members(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(await run_in_threadpool(self._backstage.members))
        details = MemberDetails.model_validate_json(await request.body())
        return JSONResponse({"id": await run_in_threadpool(self._backstage.make_member, details)}, HTTPStatus.CREATED)

    async def member(self, request: Request) -> Response:
        details = MemberDetails.model_validate_json(await request.body())
        await run_in_threadpool(self._backstage.change_member, request.path_params["id"], details)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def state(self, request: Request) -> Response:
        return JSONResponse(self._backstage.state(request.path_params["id"]))

    async def time(self, request: Request) -> Response:
        until = Moment((await request.json())["until"])
        await run_in_threadpool(self._backstage.let_time_pass, UUID(request.path_params["id"]), until)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def log(self, request: Request) -> Response:
        function = request.path_params["function"]
        if function not in self._stack.functions:
            return _problem(HTTPStatus.NOT_FOUND, "There is no such function.")
        since = datetime.fromtimestamp(int(request.query_params.get("since", "0")) / 1000, UTC)
        return JSONResponse(self._backstage.log_of_last_call(function, since))

    async def look(self, request: Request) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(picture.look, await request.body()))
        except OSError:
            return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "This cannot be read as a picture.")

    def sample_picture(self, request: Request) -> Response:
        samples = picture.samples()
        if request.path_params["name"] not in samples:
            return _problem(HTTPStatus.NOT_FOUND, "There is no such picture.")
        content_type, content = samples[request.path_params["name"]]
        return Response(content, media_type=content_type)

    async def reset(self, _: Request) -> Response:
        await run_in_threadpool(self._backstage.reset)
        self._instance = str(uuid4())
        self.listener.forget()
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _problem(status: HTTPStatus, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)


def _invalid(_: Request, error: Exception) -> Response:
    return _problem(HTTPStatus.BAD_REQUEST, str(error))


def _not_running(_: Request, __: Exception) -> Response:
    problem = _problem(HTTPStatus.BAD_GATEWAY, "The system does not answer. Does `make run` still run?")
    problem.headers["x-system"] = "away"  # API Gateway says 502, too
    return problem
