"""The factory of every HTTP endpoint: logging, authentication, access, JSON in and out, errors. No handler repeats it.

    API Gateway → logging with correlation id → authenticate → require access → read the body → handler → JSON

The decorator adds the whole chain, so no endpoint can forget a part. An endpoint that only reads declares a `Read`: one
statement then checks access as well, and the handler gets the result. Only `entitled=False` omits the access check, and
a test allows that for no route but the three that let a member end or leave.

The API's description (docs/openapi.json) is made of the handlers' docstrings and the `Answers` that they declare.

    @api.endpoint(body=profiles.CreateProfile, answers=api.Answers(201, {"profile": profiles.Profile}))
    def handler(request: api.Request[profiles.CreateProfile]) -> api.Members:
        return {"profile": profiles.create(request.database, request.user_id, request.body)}
"""

import base64
import binascii
import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, cast, overload

from pydantic import BaseModel, ValidationError

from after_hours.entrypoints import access, auth, errors
from after_hours.entrypoints.access import Read
from after_hours.entrypoints.errors import ApiError, InvalidRequest
from after_hours.entrypoints.schema import QueryModel, field_errors
from after_hours.foundation import clients, database, secrets
from after_hours.foundation.clients import Maker
from after_hours.foundation.database import Database
from after_hours.foundation.faults import Fault
from after_hours.foundation.observability import count, logger, metrics, stack

type Event = Mapping[str, Any]
type Response = dict[str, Any]

MAX_BODY = 50_000  # characters, ten times the longest valid body; parsed, they may take a hundred times as much memory

_HEADERS = {"content-type": "application/json", "cache-control": "no-store"}

# The names and values of a JSON object (RFC 8259, section 4).
type Members = Mapping[str, BaseModel | Sequence[BaseModel] | bool | None]


@dataclass(frozen=True)
class Answers:
    """The responses of an endpoint: status and members of its success, and the errors that are its own.

    `members` has the type of each member by name; without members a success has no body. `then` names functions that
    may be called next.
    """

    status: int = 200
    members: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[type[ApiError]] = ()
    then: Sequence[str] = ()


@dataclass(frozen=True)
class Declaration:
    """The arguments of `endpoint` and the handler's docstring, for the description of the API and for tests."""

    uses: tuple[Maker, ...]
    answers: Answers
    read: Read[Any] | None
    query: type[QueryModel] | None
    body: type[BaseModel] | None
    entitled: bool
    docstring: str


class LambdaHandler(Protocol):
    """The function that Lambda calls."""

    declared: Declaration

    def __call__(self, event: Event, context: object, /) -> Response: ...


@dataclass(frozen=True)
class Request[Body]:
    """The caller, whose access is checked unless `entitled=False`, and the valid body (None without a model)."""

    user_id: str
    body: Body
    database: Database


type Work[Input] = Callable[[Input], Members | None]


@overload
def endpoint[Result](
    *uses: Maker, read: Read[Result], query: type[QueryModel] | None = None, answers: Answers = ...
) -> Callable[[Work[Result]], LambdaHandler]: ...
@overload
def endpoint(
    *uses: Maker, entitled: bool = True, answers: Answers = ...
) -> Callable[[Work[Request[None]]], LambdaHandler]: ...
@overload
def endpoint[Body: BaseModel](
    *uses: Maker, body: type[Body], entitled: bool = True, answers: Answers = ...
) -> Callable[[Work[Request[Body]]], LambdaHandler]: ...
def endpoint(
    *uses: Maker,
    read: Read[Any] | None = None,
    query: type[QueryModel] | None = None,
    body: type[BaseModel] | None = None,
    entitled: bool = True,
    answers: Answers = Answers(),
) -> Callable[[Work[Any]], LambdaHandler]:
    """Make a Lambda handler (API Gateway's payload format 2.0) of a function of a `Request` or of the result of `read`.

    `uses` are the AWS clients that it needs beside that of Secrets Manager. `read` is for an endpoint that changes
    nothing, and `query` is the model of its query parameters. `body` is the model of the JSON body. `entitled=False`
    omits the access check, never authentication. The function returns the members of the response beside `success`.
    """
    clients.prepare(clients.secrets_manager, *uses)

    def decorate(work: Work[Any]) -> LambdaHandler:
        declared = Declaration(uses, answers, read, query, body, entitled, inspect.getdoc(work) or "")

        @metrics.log_metrics
        @logger.inject_lambda_context(clear_state=True)
        def handler(event: Event, context: Any) -> Response:  # noqa: ANN401, ARG001 (Lambda's signature)
            started = time.perf_counter()
            request_context = event.get("requestContext", {})
            logger.set_correlation_id(request_context.get("requestId"))
            try:
                response = _success(answers.status, _serve(event, work, declared))
            except ApiError as error:
                response = _error(error)
            except Fault as fault:
                response = _error(errors.failure_of(fault))
            except Exception as error:  # noqa: BLE001 (the last resort; the message may hold data, so only the place is logged)
                logger.error("unexpected error", error=type(error).__name__, stack=stack(error))
                response = _error(errors.Internal())
            count("Requests")
            logger.info(
                "request",
                route=request_context.get("routeKey"),
                status=response["statusCode"],
                milliseconds=round((time.perf_counter() - started) * 1000),
            )
            return response

        lambda_handler = cast("LambdaHandler", handler)
        lambda_handler.declared = declared
        return lambda_handler

    return decorate


def _serve(event: Event, work: Work[Any], declared: Declaration) -> Members | None:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    user_id = auth.authenticate(headers, secrets.jwt_secret.read().keys)
    logger.append_keys(user_id=user_id)
    shared = database.shared()
    if declared.read:
        query = _valid(declared.query, event.get("queryStringParameters") or {}) if declared.query else None
        return work(access.read(shared, user_id, declared.read, query.model_dump() if query else {}))
    if declared.entitled:
        access.require(shared, user_id)
    body = _valid(declared.body, _content(event, headers)) if declared.body else None
    return work(Request(user_id, body, shared))


def _success(status: int, members: Members | None) -> Response:
    if not members:
        return {"statusCode": status, "headers": {"cache-control": "no-store"}}
    return _json(status, {"success": True, **members})


def _error(error: ApiError) -> Response:
    if isinstance(error, errors.Failure):
        count("Faults")
        logger.error("request failed", code=error.code, reason=str(error), stack=stack(error))
    else:
        logger.info("request refused", code=error.code, reason=str(error))
    body = {"success": False, "error": error.message, "code": error.code, **error.details}
    return _json(error.status, body, error.headers)


def _json(status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, default=_jsonable, allow_nan=False)
    return {"statusCode": status, "headers": {**_HEADERS, **(headers or {})}, "body": text}


def _jsonable(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(type(value).__name__)


def _content(event: Event, headers: Mapping[str, str]) -> object:
    """Parse the JSON body. Raises `InvalidRequest` for every other body."""
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        _reject("content-type", "The content type must be application/json")
    text = event.get("body") or ""
    if len(text) > MAX_BODY:
        _reject("body", f"The body must not be longer than {MAX_BODY} characters")
    try:
        if event.get("isBase64Encoded"):
            text = base64.b64decode(text, validate=True).decode()
        return json.loads(text, parse_constant=_not_json)
    except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError):
        _reject("body", "The body must be a JSON object")


def _valid[Model: BaseModel](model: type[Model], content: object) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InvalidRequest(field_errors(error)) from None


def _not_json(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's parser accepts and JSON (RFC 8259, section 6) does not."""
    raise ValueError(constant)


def _reject(field: str, message: str) -> NoReturn:
    raise InvalidRequest([{"field": field, "message": message}])
