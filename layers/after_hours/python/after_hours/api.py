"""The factory of every HTTP endpoint: logging, authentication, access, JSON in and out, errors. No handler repeats it.

    API Gateway → logging with correlation id → authenticate → require access → read the body → handler → JSON

An endpoint that only reads is told what: one statement then answers for access as well, and its handler is given the
result. An endpoint is made by decorating its handler, so none can forget the chain. Only `entitled=False` leaves out
the access check, and a test allows that on no route but the three that let a member end or leave.
"""

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, cast, overload

from pydantic import BaseModel, ValidationError

from after_hours import access, auth, clients, config, database
from after_hours.access import Read
from after_hours.clients import Maker
from after_hours.database import Database
from after_hours.errors import ApiError, InternalError, InvalidRequest, ServiceUnavailable
from after_hours.observability import count, logger, metrics, stack
from after_hours.schema import field_errors

type Event = Mapping[str, Any]
type Answer = dict[str, Any]

MAX_BODY = 50_000  # ten times the longest valid body; once parsed, a body may take a hundred times its length in memory

_HEADERS = {"content-type": "application/json", "cache-control": "no-store"}


class LambdaHandler(Protocol):
    """What Lambda calls. It keeps what its endpoint declared, from which `contract` writes docs/openapi.json."""

    uses: tuple[Maker, ...]
    body: type[BaseModel] | None
    entitled: bool

    def __call__(self, event: Event, context: object, /) -> Answer: ...


@dataclass(frozen=True)
class Request[Body]:
    """What a handler gets: the caller, whose access is checked, and the valid body (None where there is none)."""

    user_id: str
    body: Body
    database: Database


@dataclass(frozen=True)
class Response:
    """An HTTP status and the members of its body beside `success`; no members, no body (204)."""

    status: int
    members: Mapping[str, BaseModel | bool | None]


def ok(**members: BaseModel | bool | None) -> Response:
    return Response(200, members)


def created(**members: BaseModel | bool | None) -> Response:
    return Response(201, members)


def no_content() -> Response:
    return Response(204, {})


type Work[Given] = Callable[[Given], Response]


@overload
def endpoint[Result](*uses: Maker, read: Read[Result]) -> Callable[[Work[Result]], LambdaHandler]: ...
@overload
def endpoint(*uses: Maker, entitled: bool = True) -> Callable[[Work[Request[None]]], LambdaHandler]: ...
@overload
def endpoint[Body: BaseModel](
    *uses: Maker, body: type[Body], entitled: bool = True
) -> Callable[[Work[Request[Body]]], LambdaHandler]: ...
def endpoint(
    *uses: Maker, read: Read[Any] | None = None, body: type[BaseModel] | None = None, entitled: bool = True
) -> Callable[[Work[Any]], LambdaHandler]:
    """Make a Lambda handler for API Gateway's payload format 2.0 from a function of a `Request`, or of what is read.

    `uses` are the clients of AWS that it needs beside that of Secrets Manager. `read` is what an endpoint reads that
    changes nothing. `body` is the model of the JSON body, for an endpoint that takes one. `entitled=False` leaves out
    the access check, never authentication.
    """
    clients.prepare(clients.secrets_manager, *uses)

    def decorate(work: Work[Any]) -> LambdaHandler:
        @metrics.log_metrics
        @logger.inject_lambda_context(clear_state=True)
        def handler(event: Event, context: Any) -> Answer:  # noqa: ANN401, ARG001 (Lambda's signature)
            started = time.perf_counter()
            request_context = event.get("requestContext", {})
            logger.set_correlation_id(request_context.get("requestId"))
            try:
                answer = _success(_serve(event, work, read, body, entitled=entitled))
            except ApiError as error:
                answer = _failure(error)
            except Exception as error:  # noqa: BLE001 (the last resort; the message may hold data, so only the place is logged)
                logger.error("unexpected error", error=type(error).__name__, stack=stack(error))
                answer = _failure(InternalError())
            count("Requests")
            logger.info(
                "request",
                route=request_context.get("routeKey"),
                status=answer["statusCode"],
                milliseconds=round((time.perf_counter() - started) * 1000),
            )
            return answer

        lambda_handler = cast("LambdaHandler", handler)
        lambda_handler.uses, lambda_handler.body, lambda_handler.entitled = uses, body, entitled
        return lambda_handler

    return decorate


def _serve(
    event: Event, work: Work[Any], read: Read[Any] | None, body: type[BaseModel] | None, *, entitled: bool
) -> Response:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    user_id = auth.authenticate(headers, config.jwt_secret.read().keys)
    logger.append_keys(user_id=user_id)
    shared = database.shared()
    if read:
        return work(access.read(shared, user_id, read))
    if entitled:
        access.require(shared, user_id)
    return work(Request(user_id, _parsed(body, event, headers) if body else None, shared))


def _success(response: Response) -> Answer:
    if not response.members:
        return {"statusCode": response.status, "headers": {"cache-control": "no-store"}}
    return _json(response.status, {"success": True, **response.members})


def _failure(error: ApiError) -> Answer:
    if isinstance(error, ServiceUnavailable | InternalError):
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


def _parsed[Body: BaseModel](model: type[Body], event: Event, headers: Mapping[str, str]) -> Body:
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
        content = json.loads(text, parse_constant=_not_json)
    except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError):
        _reject("body", "The body must be a JSON object")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InvalidRequest(field_errors(error)) from None


def _not_json(constant: str) -> NoReturn:
    """Python's reader takes NaN and Infinity for numbers. JSON (RFC 8259, section 6) does not."""
    raise ValueError(constant)


def _reject(field: str, message: str) -> NoReturn:
    raise InvalidRequest([{"field": field, "message": message}])
