"""The API's description for app developers, made from the code that serves it.

Routes come from infra/endpoints.py, what an endpoint is for, takes and answers from its handler, schemas from the
models, and errors from their classes. tests/integration/test_contract.py compares it with real answers, and writes the
examples.
"""

import json
import runpy
import tomllib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from after_hours.entrypoints import errors
from after_hours.entrypoints.api import Answers, Declaration, LambdaHandler
from after_hours.entrypoints.errors import ApiError
from pydantic.alias_generators import to_camel, to_pascal

from infra.endpoints import ENDPOINTS, PREFIX, Endpoint
from tools.contract.components import Components

REPOSITORY = Path(__file__).parents[2]
FILE = REPOSITORY / "docs" / "openapi.json"
EXAMPLES = Path(__file__).with_name("examples.json")

type Json = dict[str, Any]

ABOUT = """\
After Hours is the timed mode of VLVT: a verified, paying, consenting member makes a separate profile and goes live for
15, 30 or 60 minutes.

**Calling.** Send the main app's token with every call. JSON in camelCase both ways. Types are strict (`"30"` is
not 30), but a number is a number: `30.0` is 30. Unknown fields are refused. In a POST, null is the same as absent, but
for `sexualOrientation`, of which null means none. In a PATCH, null clears what can be cleared; elsewhere it is refused.
Times are UTC, ISO 8601, ending in `Z`.

**Answers.** More fields may come with a later version: leave alone what you do not know, and decide by the status
where you do not know a `code`. All examples are real answers.

**Errors.** `error` is a sentence for the member, `code` is for the app to decide by. On 401 get a new token and call
again. On 403 `code` is the first requirement that the member does not meet: Premium, then verification, then consent.
On 429 and 503 wait `Retry-After` seconds and call again; but 503 `OUTCOME_UNKNOWN` means that the change may have been
made: read what is there before you try again.

**No `success` in the answer?** Then it is API Gateway's own, `{"message": …}`: 429, 500 or 503 when it or a function
could not do its work, 413 for a body of more than 10 MB, 404 for a path or method that does not exist.
"""


# Tags by the first word of a path. A new word needs none.
TAGS = {
    "profile": "The member's After Hours profile and its photo: made on joining, gone without a trace on leaving.",
    "preferences": "Whom the member seeks in After Hours.",
    "session": "Going live: one session at a time, which ends by itself.",
}


def document() -> Json:
    """Return the OpenAPI document."""
    examples = json.loads(EXAMPLES.read_text()) if EXAMPLES.exists() else {}
    components = Components(examples.get("errors", {}))
    paths: Json = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(
            endpoint, components, examples.get("successes", {}).get(endpoint.function, {})
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "After Hours",
            "version": tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"],
            "description": ABOUT,
            "contact": {"name": "The developers of this repository"},
            "license": {"name": "For VLVT's own apps only", "identifier": "LicenseRef-VLVT"},
        },
        "servers": [{"url": PREFIX, "description": "At the address that the deployment prints as ApiUrl."}],
        "security": [{"token": []}],
        "tags": [
            {"name": tag} | ({"description": TAGS[tag]} if tag in TAGS else {})
            for tag in dict.fromkeys(map(_tag, ENDPOINTS))
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The main app's token.",
                }
            },
            "responses": dict(sorted(components.responses.items())),
            "schemas": dict(sorted(components.schemas.items())),
        },
    }


def text(description: Json) -> str:
    """Return a description as docs/openapi.json holds it."""
    return json.dumps(description, indent=2, ensure_ascii=False) + "\n"


def _declared(function: str) -> Declaration:
    handler: LambdaHandler = runpy.run_path(str(REPOSITORY / "functions" / function / "handler.py"))["handler"]
    return handler.declared


def _summary(declared: Declaration) -> str:
    return declared.docstring.partition("\n")[0].removesuffix(".")


def _description(declared: Declaration) -> str:
    """Return the docstring after its first paragraph, each paragraph on one line."""
    paragraphs = declared.docstring.partition("\n\n")[2].split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _operation(endpoint: Endpoint, components: Components, examples: Json) -> Json:
    declared = _declared(endpoint.function)
    described: Json = {
        "operationId": to_camel(endpoint.function),
        "tags": [_tag(endpoint)],
        "summary": _summary(declared),
        "description": _description(declared),
    }
    if declared.query:
        described["parameters"] = components.parameters(declared.query)
    if declared.body:
        schema = components.schema(declared.body, "validation")
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": _sample_body(endpoint.function)}},
        }
    possible: dict[int, list[type[ApiError]]] = {status: [] for status in _gateway_answers(declared)}
    for error in (*_common_errors(endpoint, declared), *declared.answers.errors):
        possible.setdefault(error.status, []).append(error)
    described["responses"] = {
        str(declared.answers.status): _success(endpoint, declared.answers, components, examples),
        **{str(status): components.errors(status, possible[status]) for status in sorted(possible)},
    }
    return {name: value for name, value in described.items() if value}


def _success(endpoint: Endpoint, answers: Answers, components: Components, examples: Json) -> Json:
    success: Json = {"description": HTTPStatus(answers.status).phrase}
    if answers.members:
        schema = components.success(f"{to_pascal(endpoint.function)}Answer", answers.members)
        named = {name: {"value": body} for name, body in examples.items()}
        success["content"] = {"application/json": {"schema": schema, **({"examples": named} if named else {})}}
    links = {
        to_camel(function): {"operationId": to_camel(function), "description": _summary(_declared(function))}
        for function in answers.then
    }
    return success | ({"links": links} if links else {})


def _gateway_answers(declared: Declaration) -> Iterator[int]:
    """Yield the statuses that API Gateway answers by itself and no function does."""
    yield HTTPStatus.NOT_FOUND
    if declared.body:
        yield HTTPStatus.CONTENT_TOO_LARGE
    yield HTTPStatus.TOO_MANY_REQUESTS


def _common_errors(endpoint: Endpoint, declared: Declaration) -> Iterator[type[ApiError]]:
    """Yield the errors that `api.endpoint` itself can answer, in the order in which it checks a request."""
    if declared.body or declared.query:
        yield errors.InvalidRequest
    yield errors.Unauthorized
    if declared.entitled:
        yield from errors.AccessDenied.__subclasses__()
        yield errors.AccessCheckFailed
    yield errors.Unavailable
    if endpoint.method != "GET":
        yield errors.Unconfirmed
    yield errors.Internal


def _sample_body(function: str) -> Any:  # noqa: ANN401 (JSON)
    """Return the body of the sample event that testers send; a test runs it."""
    return json.loads(json.loads((REPOSITORY / "events" / function / "valid.json").read_text())["body"])


def _tag(endpoint: Endpoint) -> str:
    return endpoint.path.split("/")[1]
