"""The factory of every HTTP endpoint: logging, authentication, access, JSON in and out, errors. No handler repeats it.

    API Gateway → logging with correlation id → authenticate → require access → read the body → handler → JSON

An endpoint is made by decorating its handler, so none can forget the chain. One that only reads declares what it reads:
one statement then answers for access as well, and its handler gets the result. Only `entitled=False` leaves out the
access check, and a test allows that on no route but the three that let a member end or leave.

What an endpoint says of itself stands with its handler: the docstring, and the `Answers` that it declares. The API's
description (docs/openapi.json) is made of both.
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
type Answer = dict[str, Any]

MAX_BODY = 50_000  # ten times the longest valid body; once parsed, a body may take a hundred times its length in memory

_HEADERS = {"content-type": "application/json", "cache-control": "no-store"}


type Members = Mapping[str, BaseModel | Sequence[BaseModel] | bool | None]


@dataclass(frozen=True)
class Answers:
    """What an endpoint answers: the status and the members of its success, and the errors that are its own.

    `members` are their types by name; a success without members has no body. `then` names functions that may be called
    next.
    """

    status: int = 200
    members: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[type[ApiError]] = ()
    then: Sequence[str] = ()


@dataclass(frozen=True)
class Declaration:
    """What an endpoint takes, does and answers, and its handler's docstring, for those who describe and test it."""

    uses: tuple[Maker, ...]
    answers: Answers
    read: Read[Any] | None
    query: type[QueryModel] | None
    body: type[BaseModel] | None
    entitled: bool
    says: str


class LambdaHandler(Protocol):
    """What Lambda calls."""

    declared: Declaration

    def __call__(self, event: Event, context: object, /) -> Answer: ...


@dataclass(frozen=True)
class Request[Body]:
    """What a handler gets: the caller, whose access is checked, and the valid body (None where there is none)."""

    user_id: str
    body: Body
    database: Database


type Work[Given] = Callable[[Given], Members | None]


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
    """Make a Lambda handler for API Gateway's payload format 2.0 from a function of a `Request`, or of what is read.

    `uses` are the clients of AWS that it needs beside that of Secrets Manager. `read` is what an endpoint reads that
    changes nothing, and `query` the model of the query parameters that its statement takes. `body` is the model of the
    JSON body, for an endpoint that takes one. `entitled=False` leaves out the access check, never authentication. The
    function returns the members of the answer beside `success`; without members, the answer has no body.
    """
    clients.prepare(clients.secrets_manager, *uses)

    def decorate(work: Work[Any]) -> LambdaHandler:
        declared = Declaration(uses, answers, read, query, body, entitled, inspect.getdoc(work) or "")

        @metrics.log_metrics
        @logger.inject_lambda_context(clear_state=True)
        def handler(event: Event, context: Any) -> Answer:  # noqa: ANN401, ARG001 (Lambda's signature)
            started = time.perf_counter()
            request_context = event.get("requestContext", {})
            logger.set_correlation_id(request_context.get("requestId"))
            try:
                answer = _success(answers.status, _serve(event, work, declared))
            except ApiError as error:
                answer = _error(error)
            except Fault as fault:
                answer = _error(errors.failure_of(fault))
            except Exception as error:  # noqa: BLE001 (the last resort; the message may hold data, so only the place is logged)
                logger.error("unexpected error", error=type(error).__name__, stack=stack(error))
                answer = _error(errors.Internal())
            count("Requests")
            logger.info(
                "request",
                route=request_context.get("routeKey"),
                status=answer["statusCode"],
                milliseconds=round((time.perf_counter() - started) * 1000),
            )
            return answer

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


def _success(status: int, members: Members | None) -> Answer:
    if not members:
        return {"statusCode": status, "headers": {"cache-control": "no-store"}}
    return _json(status, {"success": True, **members})


def _error(error: ApiError) -> Answer:
    if isinstance(error, errors.Failure):
        count("Faults")
        logger.error("request failed", code=error.code, reason=str(error), stack=stack(error))
    else:
        logger.info("request refused", code=error.code, reason=str(error))
    body = {"success": False, "error": error.message, "code": error.code, **error.details}
    return _json(error.status, body, error.headers)


def _json(status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
    text = json.dumps(body, default=_jsonable, allow_nan=False)
    return {"statusCode": status, "headers": {**_HEADERS, **(headers or {})}, "body": text}


def _jsonable(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(type(value).__name__)


def _content(event: Event, headers: Mapping[str, str]) -> object:
    """Read the JSON body. Raises `InvalidRequest`, whatever the body is."""
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
    """Python's reader takes NaN and Infinity for numbers. JSON (RFC 8259, section 6) does not."""
    raise ValueError(constant)


def _reject(field: str, message: str) -> NoReturn:
    raise InvalidRequest([{"field": field, "message": message}])
