"""The API's description for app developers, docs/openapi.json, made from the code that serves it: `make openapi`.

Routes come from infra/endpoints.py, request bodies and who may call from the handlers, schemas from the models, errors
from their classes. OPERATIONS says what no code says in one place: a new endpoint is one more row there.
tests/integration/test_contract.py compares every row with real answers.
"""

import json
import runpy
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, TypeAdapter
from pydantic.alias_generators import to_camel, to_pascal
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

# On Lambda the layer puts the package here.
sys.path.insert(0, str(Path(__file__).parent.parent / "layers" / "after_hours" / "python"))

from after_hours import errors, photos, preferences, profiles, sessions, uploads
from after_hours.api import LambdaHandler
from after_hours.errors import ApiError
from after_hours.schema import MAX_REPORTED_ERRORS, Patch, ResponseModel

from infra.endpoints import ENDPOINTS, PREFIX, Endpoint

REPOSITORY = Path(__file__).parent.parent
FILE = REPOSITORY / "docs" / "openapi.json"

type Json = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """What an endpoint does, its success, and the errors that are its own."""

    summary: str
    description: str
    status: int
    members: Mapping[str, Any] = field(default_factory=dict)  # beside `success`, with their types; none: no body
    errors: Sequence[type[ApiError]] = ()


OPERATIONS: Mapping[str, Operation] = {
    "create_profile": Operation(
        "Create the member's After Hours profile",
        "Name and age are those of the main profile. Send `{}` for a profile without a description.",
        201,
        {"profile": profiles.Profile},
        [errors.ProfileExists],
    ),
    "get_profile": Operation(
        "Read the member's profile",
        "",
        200,
        {"profile": profiles.Profile},
        [errors.ProfileNotFound],
    ),
    "update_profile": Operation(
        "Change the profile",
        "Changes what is sent and nothing else.",
        200,
        {"profile": profiles.Profile},
        [errors.ProfileNotFound],
    ),
    "delete_profile": Operation(
        "Leave After Hours",
        "Ends the live session, and deletes the profile, its photos and the preferences. A token is enough: members "
        "who may no longer use After Hours can still leave it.",
        204,
        errors=[errors.ProfileNotFound],
    ),
    "request_photo_upload": Operation(
        "Ask to send a photo",
        "Answers a form. Post it to `url` as multipart/form-data before `expiresAt`: all of `fields` first, with "
        "`Content-Type` as the file has it (JPEG, PNG, WebP, HEIC or HEIF), then the file as `file`. Then read the "
        "photo until `status` is neither `pending` nor `processing`; meanwhile the photo before it is shown. "
        "Ten uploads in an hour.",
        201,
        {"upload": uploads.UploadForm},
        [errors.ProfileNotFound, errors.TooManyUploads],
    ),
    "get_photo": Operation(
        "Read what became of the newest upload, and the photo that is shown",
        "",
        200,
        {"photo": photos.Photo},
        [errors.ProfileNotFound],
    ),
    "delete_photo": Operation(
        "Take the photo off the profile",
        "Also ends an upload that is under way. A token is enough.",
        204,
        errors=[errors.PhotoNotFound],
    ),
    "create_preferences": Operation(
        "Create the member's preferences",
        "Send `{}` to take everything from the main profile and the defaults. `minAge` may not be above `maxAge`.",
        201,
        {"preferences": preferences.Preferences},
        [errors.PreferencesExist],
    ),
    "get_preferences": Operation(
        "Read the member's preferences",
        "",
        200,
        {"preferences": preferences.Preferences},
        [errors.PreferencesNotFound],
    ),
    "update_preferences": Operation(
        "Change the preferences",
        "Changes what is sent and nothing else; defaults are not applied again. An age that is sent alone may not "
        "cross the other one as it is stored.",
        200,
        {"preferences": preferences.Preferences},
        [errors.PreferencesNotFound],
    ),
    "start_session": Operation(
        "Go live",
        "For 15, 30 or 60 minutes, from one place. The session ends by itself. A member has one live session at most: "
        "`SESSION_ALREADY_ACTIVE` carries it. The exact location is never shown to anyone, and is erased when the "
        "session ends.",
        201,
        {"session": sessions.Session},
        [errors.ProfileRequired, errors.SessionAlreadyActive],
    ),
    "end_session": Operation(
        "End the live session now",
        "",
        200,
        {"session": sessions.EndedSession},
        [errors.NoActiveSession],
    ),
    "extend_session": Operation(
        "Give the live session more time",
        "As often as the member likes.",
        200,
        {"session": sessions.ExtendedSession},
        [errors.NoActiveSession],
    ),
    "get_session": Operation(
        "Read the live session, if there is one",
        "When the member is not live, `active` is false and `session` is null. That is no error.",
        200,
        {"active": bool, "session": sessions.Session | None},
    ),
}

ABOUT = """\
After Hours is the timed mode of VLVT: a verified, paying, consenting member makes a separate profile and goes live for
15, 30 or 60 minutes.

**Calling.** Send the main app's token with every call. JSON in camelCase both ways. Types are strict (`"30"` and `30.0`
are not 30), and unknown fields are refused. Times are UTC, ISO 8601, ending in `Z`.

**Errors.** `error` is a sentence for the member, `code` is for the app to decide by. On 401 get a new token and call
again. On 403 `code` is the first requirement that the member does not meet: Premium, then verification, then consent.
On 429 and 503 wait `Retry-After` seconds and call again.

**No `success` in the answer?** Then it is API Gateway's own, `{"message": …}`: 429 or 503 when it is too busy, 404 for
a path or method that does not exist.
"""

_SESSION_NOTES = {
    "expiresAt": "The planned end.",
    "durationMinutes": "From the start to the planned end, extensions included.",
    "remainingSeconds": "At the time of this answer, by the server's clock: count down from here. 0 when it is over.",
}

_PHOTO_NOTES = {
    "photoUrl": "Valid for two hours at least, and the same address for up to an hour, so that it can be cached by it.",
    "thumbnailUrl": "The same photo, small. Valid as `photoUrl` is.",
}

# What a field's schema cannot say.
NOTES: Mapping[type[BaseModel], Mapping[str, str]] = {
    profiles.CreateProfile: {"description": f"At most {profiles.MAX_DESCRIPTION} characters after trimming."},
    profiles.UpdateProfile: {"description": f"At most {profiles.MAX_DESCRIPTION} characters after trimming."},
    profiles.Profile: {
        "name": "From the main profile, as it is now.",
        "age": "From the main profile, as it is now.",
        "photoStatus": "Of the newest upload.",
        **_PHOTO_NOTES,
    },
    photos.Photo: _PHOTO_NOTES | {"reason": "Why the status is rejected or failed."},
    preferences.CreatePreferences: {
        "seekingGender": "When absent, whom the main profile's gender and preference seek; else Any.",
        "sexualOrientation": "When absent, the main profile's; null for none.",
    },
    sessions.StartSession: {
        "duration": "Minutes.",
        "deviceFingerprint": "What the phone says about itself; every part may be left out.",
    },
    sessions.ExtendSession: {"additionalMinutes": "Minutes, added to the planned end."},
    sessions.Session: _SESSION_NOTES,
    sessions.EndedSession: _SESSION_NOTES,
    sessions.ExtendedSession: _SESSION_NOTES | {"extendedByMinutes": "By this call."},
}

# These have a default in the model, but an absent one is filled from the main profile before it.
_FILLED = {preferences.CreatePreferences: ("seekingGender", "sexualOrientation")}


class FieldError(ResponseModel):
    """One bad field."""

    field: Annotated[
        str, Field(description="Its path, such as `deviceFingerprint.platform`; else `body` or `content-type`.")
    ]
    message: Annotated[str, Field(description="What is wrong with it.")]


# Members of error bodies beside `success`, `error` and `code`.
_DETAILS: Mapping[type[ApiError], Mapping[str, Any]] = {
    errors.InvalidRequest: {"errors": Annotated[list[FieldError], Field(min_length=1, max_length=MAX_REPORTED_ERRORS)]},
    errors.PremiumRequired: {"upgrade": Literal[True]},
    errors.VerificationRequired: {"requiresVerification": Literal[True]},
    errors.ConsentRequired: {"requiresConsent": Literal[True]},
    errors.SessionAlreadyActive: {"session": sessions.Session},
}

_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
_HEADERS: Mapping[int, Json] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


class OutdatedTableError(Exception):
    """A table here does not know an endpoint, or speaks of something that is gone."""


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas without its titles, and with what it cannot know of our models."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> Json:
        made = super().model_schema(schema)
        model, properties = schema["cls"], made["properties"]
        del made["title"]
        without_default = _FILLED.get(model, ())
        if self.mode == "serialization":  # an answer has all its members, always
            made |= {"required": list(properties), "additionalProperties": False}
            without_default = tuple(properties)
        elif issubclass(model, Patch):  # what is absent stays
            made |= {"minProperties": 1}
            without_default = tuple(properties)
        for name in without_default:
            properties[name].pop("default", None)
        for name, note in NOTES.get(model, {}).items():
            if name not in properties:
                raise OutdatedTableError(f"NOTES in infra/openapi.py: {model.__name__} has no {name}")
            properties[name]["description"] = note
        return made


def document() -> Json:
    """Return the OpenAPI document. Raises `OutdatedTableError`."""
    if difference := OPERATIONS.keys() ^ {endpoint.function for endpoint in ENDPOINTS}:
        names = ", ".join(sorted(difference))
        raise OutdatedTableError(f"OPERATIONS in infra/openapi.py and infra/endpoints.py disagree on: {names}")
    components = _Components()
    paths: Json = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "After Hours",
            "version": tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"],
            "description": ABOUT,
        },
        "servers": [{"url": PREFIX, "description": "At the address that the deployment prints as ApiUrl."}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(map(_tag, ENDPOINTS))],
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


class _Components:
    """What operations refer to, collected while they are described."""

    def __init__(self) -> None:
        self.schemas: Json = {}
        self.responses: Json = {}

    def schema(self, kind: Any, mode: JsonSchemaMode) -> Json:  # noqa: ANN401 (any annotation)
        """Return the schema of a type; models become references."""
        made, definitions = TypeAdapter.json_schemas(
            [("", mode, TypeAdapter(kind))],
            by_alias=True,
            ref_template="#/components/schemas/{model}",
            union_format="primitive_type_array",
            schema_generator=_Schemas,
        )
        named = definitions.get("$defs", {})
        aliases = {name: definition for name, definition in named.items() if "properties" not in definition}
        for name in named.keys() - aliases.keys():
            model = _inlined(named[name], aliases)
            if self.schemas.setdefault(name, model) != model:
                raise ValueError(f"two models of the API are called {name}")
        inlined: Json = _inlined(made["", mode], aliases)
        return inlined

    def errors(self, status: int, possible: Iterable[type[ApiError]]) -> Json:
        """Return a reference to the answer that is any of these errors."""
        by_code = {error.code: error for error in possible}
        schemas = {code: self._error(error) for code, error in by_code.items()}
        if len(schemas) == 1:
            [schema] = schemas.values()
        else:
            mapping = {code: reference["$ref"] for code, reference in schemas.items()}
            schema = {
                "oneOf": list(schemas.values()),
                "discriminator": {"propertyName": "code", "mapping": mapping},
            }
        name = "Or".join(map(_name, by_code.values()))
        self.responses[name] = {
            "description": " ".join(f"`{error.code}`: {error.message}" for error in by_code.values()),
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
            "content": {"application/json": {"schema": schema}},
        }
        return {"$ref": f"#/components/responses/{name}"}

    def _error(self, error: type[ApiError]) -> Json:
        name = _name(error)
        self.schemas[name] = _answer(
            success=False,
            error={"type": "string", "examples": [error.message]},
            code={"type": "string", "const": error.code},
            **{member: self.schema(kind, "serialization") for member, kind in _DETAILS.get(error, {}).items()},
        )
        return {"$ref": f"#/components/schemas/{name}"}


def _inlined(part: Any, aliases: Mapping[str, Json]) -> Any:  # noqa: ANN401 (JSON)
    """Put types in the place of their aliases, whose names mean something in their own module only."""
    match part:
        case {"$ref": reference, **beside} if (name := reference.rpartition("/")[2]) in aliases:
            return _inlined(aliases[name], aliases) | beside
        case dict():
            return {key: _inlined(value, aliases) for key, value in part.items()}
        case list():
            return [_inlined(value, aliases) for value in part]
    return part


def _answer(*, success: bool, **members: Json) -> Json:
    properties = {"success": {"type": "boolean", "const": success}, **members}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _name(error: type[ApiError]) -> str:
    """Name an error after its code, the word that app developers know."""
    return to_pascal(error.code.lower())


def _operation(endpoint: Endpoint, components: _Components) -> Json:
    operation = OPERATIONS[endpoint.function]
    handler: LambdaHandler = runpy.run_path(str(REPOSITORY / "functions" / endpoint.function / "handler.py"))["handler"]
    made: Json = {
        "operationId": to_camel(endpoint.function),
        "tags": [_tag(endpoint)],
        "summary": operation.summary,
        "description": operation.description,
    }
    if handler.body:
        schema = components.schema(handler.body, "validation")
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": _sample_body(endpoint.function)}},
        }
    success: Json = {"description": HTTPStatus(operation.status).phrase}
    if operation.members:
        members = {name: components.schema(kind, "serialization") for name, kind in operation.members.items()}
        success["content"] = {"application/json": {"schema": _answer(success=True, **members)}}
    possible: dict[int, list[type[ApiError]]] = {}
    for error in (*_common_errors(handler), *operation.errors):
        possible.setdefault(error.status, []).append(error)
    made["responses"] = {
        str(operation.status): success,
        **{str(status): components.errors(status, possible[status]) for status in sorted(possible)},
    }
    return {name: value for name, value in made.items() if value}


def _common_errors(handler: LambdaHandler) -> Iterator[type[ApiError]]:
    """Yield what the chain that every request goes through can answer."""
    if handler.body:
        yield errors.InvalidRequest
    yield errors.Unauthorized
    if handler.entitled:
        yield from errors.AccessDenied.__subclasses__()
        yield errors.AccessCheckFailed
    yield errors.ServiceUnavailable
    yield errors.InternalError


def _sample_body(function: str) -> Any:  # noqa: ANN401 (JSON)
    """Return the body of the sample event that testers send; a test runs it."""
    return json.loads(json.loads((REPOSITORY / "events" / function / "valid.json").read_text())["body"])


def _tag(endpoint: Endpoint) -> str:
    return endpoint.path.split("/")[1]


class _Fact(NamedTuple):
    """One thing that a body's schema says of a member: that it is known or required, a type, a fixed value."""

    path: str
    what: str


_KNOWN, _REQUIRED, _NULL = "known", "required", "null"


def incompatibilities(old: Json, new: Json) -> list[str]:
    """Say what in `new` breaks an app that was made for `old`. More endpoints, members and optional fields do not."""
    found = []
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            after = new["paths"].get(path, {}).get(method)
            broken = _broken_operation(old, before, new, after) if after else ["is gone"]
            found += [f"{method.upper()} {path} {reason}" for reason in broken]
    return found


def _broken_operation(old: Json, before: Json, new: Json, after: Json) -> Iterator[str]:
    sent, taken = _facts(old, before.get("requestBody", {})), _facts(new, after.get("requestBody", {}))
    yield from (f"no longer takes {fact}" for fact in _lost(sent, taken, but=_REQUIRED))
    yield from (f"now requires {path}" for path, what in sorted(taken - sent) if what == _REQUIRED)
    for status, answer in before["responses"].items():
        if status not in after["responses"]:
            yield f"no longer answers {status}"
            continue
        known, told = _facts(old, answer), _facts(new, after["responses"][status])
        yield from (f"{status} no longer has {fact}" for fact in _lost(known, told, but=_NULL))
        yield from (
            f"{status} may now have null for {path}"
            for path, what in sorted(told - known)
            if what == _NULL and (path, _KNOWN) in known
        )


def _lost(before: set[_Fact], after: set[_Fact], *, but: str) -> Iterator[str]:
    lost = before - after
    gone = {path for path, what in lost if what == _KNOWN}
    yield from sorted(gone)
    yield from (f"{path} ({what})" for path, what in sorted(lost) if path not in gone and what != but)


def _facts(document: Json, part: Json) -> set[_Fact]:
    content = resolved(document, part).get("content", {})
    return set(_facts_of(document, content["application/json"]["schema"], "")) if content else set()


def _facts_of(document: Json, schema: Json, path: str) -> Iterator[_Fact]:
    schema = resolved(document, schema)
    types = schema.get("type", [])
    yield from (_Fact(path, kind) for kind in ([types] if isinstance(types, str) else types))
    yield from (_Fact(path, repr(value)) for value in schema.get("enum", []))
    if "const" in schema:
        yield _Fact(path, repr(schema["const"]))
    for name, member in schema.get("properties", {}).items():
        inner = f"{path}.{name}".removeprefix(".")
        yield _Fact(inner, _KNOWN)
        if name in schema.get("required", []):
            yield _Fact(inner, _REQUIRED)
        yield from _facts_of(document, member, inner)
    for alternative in (*schema.get("anyOf", []), *schema.get("oneOf", [])):
        yield from _facts_of(document, alternative, path)
    if "items" in schema:
        yield from _facts_of(document, schema["items"], f"{path}[]")


def resolved(document: Json, part: Json) -> Json:
    """Follow a reference to a component, if the part is one."""
    if "$ref" not in part:
        return part
    *_, kind, name = part["$ref"].split("/")
    resolved: Json = document["components"][kind][name]
    return resolved


def text(made: Json) -> str:
    """Return a document as docs/openapi.json holds it."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    try:
        new = document()
    except OutdatedTableError as error:
        sys.exit(str(error))
    old = json.loads(FILE.read_text()) if FILE.exists() else new
    FILE.write_text(text(new))
    operations = sum(len(methods) for methods in new["paths"].values())
    sys.stdout.write(f"Wrote {FILE.relative_to(REPOSITORY)}: {operations} operations\n")
    for reason in incompatibilities(old, new):
        sys.stdout.write(f"Breaks the apps that are out: {reason}\n")


if __name__ == "__main__":
    main()
