"""The parts of the description that operations refer to: schemas of models, and answers that are errors."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from after_hours import errors, sessions
from after_hours.errors import ApiError
from after_hours.schema import MAX_REPORTED_ERRORS, Patch, ResponseModel
from pydantic import Field, TypeAdapter
from pydantic.alias_generators import to_pascal
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

type Json = dict[str, Any]


class FieldError(ResponseModel):
    """One bad field."""

    field: Annotated[
        str, Field(description="Its path, such as `deviceFingerprint.platform`; else `body` or `content-type`.")
    ]
    message: Annotated[str, Field(description="What is wrong with it.")]


# What error bodies have beside `success`, `error` and `code`.
_DETAILS: Mapping[type[ApiError], Mapping[str, Any]] = {
    errors.InvalidRequest: {"errors": Annotated[list[FieldError], Field(min_length=1, max_length=MAX_REPORTED_ERRORS)]},
    errors.PremiumRequired: {"upgrade": Literal[True]},
    errors.VerificationRequired: {"requiresVerification": Literal[True]},
    errors.ConsentRequired: {"requiresConsent": Literal[True]},
    errors.SessionAlreadyActive: {"session": sessions.Session},
    errors.SessionChanged: {"session": sessions.Session},
    errors.SessionTooLong: {"session": sessions.Session},
}

_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
_HEADERS: Mapping[int, Json] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    429: _RETRY_AFTER,
    503: {
        "Retry-After": {
            "description": "Seconds to wait. Not sent with `OUTCOME_UNKNOWN`.",
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas without its titles, and with what it cannot know of our models."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> Json:
        json_schema = super().model_schema(schema)
        properties = json_schema["properties"]
        del json_schema["title"]
        for schema_of_field in properties.values():
            # Generated clients would send it as if the member had chosen it, and TypeScript demands what has one.
            schema_of_field.pop("default", None)
        if self.mode == "serialization":  # an answer has all its members, always
            return json_schema | {"required": list(properties), "additionalProperties": False}
        if issubclass(schema["cls"], Patch):  # what is absent stays
            return json_schema | {"minProperties": 1}
        for optional in properties.keys() - json_schema.get("required", []):
            properties[optional] = _or_null(properties[optional])
        return json_schema


def _or_null(schema: Json) -> Json:
    alternatives = schema.get("anyOf", [schema])
    if {"type": "null"} in alternatives or "null" in schema.get("type", ()):
        return schema
    described = {"description": schema["description"]} if "description" in schema else {}
    bare = {key: value for key, value in schema.items() if key != "description"}
    return {"anyOf": [bare, {"type": "null"}], **described}


class Components:
    """What operations refer to, collected while they are described."""

    def __init__(self) -> None:
        self.schemas: Json = {}
        self.responses: Json = {}

    def schema(self, kind: Any, mode: JsonSchemaMode) -> Json:  # noqa: ANN401 (any annotation)
        """Return the schema of a type; models become references."""
        json_schemas, definitions = TypeAdapter.json_schemas(
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
        inlined: Json = _inlined(json_schemas["", mode], aliases)
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
        self.schemas[name] = answer(
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


def answer(*, success: bool, **members: Json) -> Json:
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
