"""The components that operations refer to: schemas of models, and answers that are errors.

Schemas of answers are open, so that a field added later breaks no strict client. Tests validate every answer against a
closed copy (`published.closed`), so that no undescribed field gets out.

Generators shape some of it. A union also has the members of all its alternatives: generators that know no unions, such
as Dart's, make one class of them, and TypeScript may read each of them. No boolean is fixed: of one that is, Dart's
generator makes an enumeration that is no Dart.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from after_hours.entrypoints import errors
from after_hours.entrypoints.errors import ApiError
from after_hours.entrypoints.schema import MAX_REPORTED_ERRORS, Patch, QueryModel, ResponseModel
from after_hours.members import sessions
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


# `code` is never sent. It is described so that `error.code` compiles in TypeScript for every error, and narrows them.
_GATEWAY_ERROR: Mapping[str, Any] = {
    "type": "object",
    "description": "API Gateway's own words: no function was asked, or none answered.",
    "properties": {
        "message": {"type": "string", "description": "For developers."},
        "code": {"type": "string", "const": "GATEWAY", "description": "Never sent: API Gateway has no code."},
    },
    "required": ["message"],
}


class _Gateway(NamedTuple):
    message: str
    meaning: str


# The errors that API Gateway answers itself.
_GATEWAY: Mapping[int, _Gateway] = {
    404: _Gateway("Not Found", "no such path or method: the address is wrong, or the app newer than this deployment"),
    413: _Gateway("Request Entity Too Large", "the body is larger than 10 MB"),
    429: _Gateway("Too Many Requests", "more calls than are taken from all members together; wait some seconds"),
    500: _Gateway("Internal Server Error", "the function ended without an answer"),
    503: _Gateway("Service Unavailable", "no function was free, or none answered in time; wait some seconds"),
}


# The members of error bodies beside `success`, `error` and `code`.
_DETAILS: Mapping[type[ApiError], Mapping[str, Any]] = {
    errors.InvalidRequest: {
        "errors": Annotated[
            list[FieldError],
            Field(min_length=1, max_length=MAX_REPORTED_ERRORS, description="One for each bad field."),
        ]
    },
    errors.PremiumRequired: {"upgrade": Annotated[bool, Field(description="Always true: offer Premium.")]},
    errors.VerificationRequired: {
        "requiresVerification": Annotated[bool, Field(description="Always true: offer to verify the identity.")]
    },
    errors.ConsentRequired: {
        "requiresConsent": Annotated[bool, Field(description="Always true: ask for consent to the terms.")]
    },
    errors.SessionAlreadyActive: {"session": sessions.Session},
    errors.SessionChanged: {"session": sessions.Session},
    errors.SessionTooLong: {"session": sessions.Session},
}

# Sets of errors that many operations share, with the name of their union.
_UNIONS: Mapping[frozenset[type[ApiError]], str] = {
    frozenset(errors.AccessDenied.__subclasses__()): "AccessDenied",
    frozenset({errors.AccessCheckFailed, errors.Unavailable}): "ReadUnavailable",
    frozenset({errors.AccessCheckFailed, errors.Unavailable, errors.Unconfirmed}): "ChangeUnavailable",
    frozenset({errors.Unavailable, errors.Unconfirmed}): "LeavingUnavailable",
}

_SECONDS = {"type": "integer", "minimum": 1}
_HEADERS: Mapping[int, Json] = {
    401: {
        "WWW-Authenticate": {
            "description": "How to authenticate.",
            "required": True,
            "schema": {"type": "string", "const": "Bearer"},
        }
    },
    429: {"Retry-After": {"description": "Seconds to wait. Not sent by API Gateway.", "schema": _SECONDS}},
    503: {
        "Retry-After": {
            "description": "Seconds to wait. Not sent with `OUTCOME_UNKNOWN`, nor by API Gateway.",
            "schema": _SECONDS,
        }
    },
}


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas without titles and defaults, and with rules of our models that pydantic does not know."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> Json:
        json_schema = super().model_schema(schema)
        properties = json_schema["properties"]
        del json_schema["title"]
        for schema_of_field in properties.values():
            # Generated clients would send a default as if the member had chosen it; TypeScript's even require it.
            schema_of_field.pop("default", None)
        if self.mode == "serialization":  # an answer always has all its members
            return json_schema | {"required": list(properties)}
        if issubclass(schema["cls"], Patch):  # an absent field keeps its value
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
    """The schemas and answers that operations refer to, collected while the operations are described."""

    def __init__(self, examples: Json) -> None:
        """`examples` are bodies of errors by their code."""
        self.schemas: Json = {}
        self.responses: Json = {}
        self._examples = examples

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

    def parameters(self, query: type[QueryModel]) -> list[Json]:
        """Return the parameters of a query, each with its schema."""
        schema = _inlined(query.model_json_schema(by_alias=True, schema_generator=_Schemas), {})
        required = schema.get("required", [])
        return [
            {"name": name, "in": "query", "required": name in required, "schema": part}
            for name, part in schema["properties"].items()
        ]

    def success(self, name: str, members: Mapping[str, Any]) -> Json:
        """Return the reference to a success with these members; a single model gives it its name."""
        schema = answer({name: self.schema(kind, "serialization") for name, kind in members.items()}, success=True)
        match list(members.values()):
            case [type() as model] if issubclass(model, ResponseModel):
                return self.named(f"{model.__name__}Answer", schema)
        return self.named(name, schema)

    def named(self, name: str, schema: Json) -> Json:
        """Keep a schema under a name, and return the reference to it."""
        if self.schemas.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas of the API are called {name}")
        return {"$ref": f"#/components/schemas/{name}"}

    def errors(self, status: int, possible: Iterable[type[ApiError]]) -> Json:
        """Return a reference to the answer that is any of these errors, or API Gateway's own."""
        by_code = {error.code: error for error in possible}
        gateway = _GATEWAY.get(status)
        names = [*map(_name, by_code), *([f"Gateway{status}"] if gateway else [])]
        name = _UNIONS.get(frozenset(by_code.values()), "Or".join(names))
        says = [f"`{error.code}`: {error.message}" for error in by_code.values()]
        examples = {code: {"value": self._examples[code]} for code in by_code if code in self._examples}
        if gateway:
            says.append(f"API Gateway's own: {gateway.meaning}.")
            examples["GATEWAY"] = {"value": {"message": gateway.message}}
        self.responses[name] = {
            "description": " ".join(says),
            **({"headers": _HEADERS[status]} if status in _HEADERS and by_code else {}),
            "content": {"application/json": {"schema": self._union(name, by_code, gateway), "examples": examples}},
        }
        return {"$ref": f"#/components/responses/{name}"}

    def _union(self, name: str, by_code: Mapping[str, type[ApiError]], gateway: _Gateway | None) -> Json:
        errors = {code: self._error(error) for code, error in by_code.items()}
        gateways = [self.named("GatewayError", dict(_GATEWAY_ERROR))] if gateway else []
        alternatives = [*errors.values(), *gateways]
        if len(alternatives) == 1:
            return alternatives[0]
        union = self._members_of(alternatives) | {"oneOf": alternatives}
        if not gateway:  # API Gateway's errors have no code
            mapping = {code: reference["$ref"] for code, reference in errors.items()}
            union["discriminator"] = {"propertyName": "code", "mapping": mapping}
        return self.named(name, union)

    def _members_of(self, alternatives: list[Json]) -> Json:
        """Return the object that has the members of all alternatives; it requires what each of them does."""
        schemas = [self.schemas[alternative["$ref"].rpartition("/")[2]] for alternative in alternatives]
        members: Json = {}
        for schema in schemas:
            for name, member in schema["properties"].items():
                members.setdefault(name, {key: value for key, value in member.items() if key != "examples"})
        codes = [schema["properties"]["code"]["const"] for schema in schemas]
        members["code"] = {"type": "string", "enum": codes, "description": members["code"]["description"]}
        required = [name for name in members if all(name in schema["required"] for schema in schemas)]
        return {"type": "object", "properties": members, **({"required": required} if required else {})}

    def _error(self, error: type[ApiError]) -> Json:
        members: Json = {
            "error": {"type": "string", "description": "A sentence for the member.", "examples": [error.message]},
            "code": {"type": "string", "const": error.code, "description": "What the app decides by."},
        }
        details = {name: self.schema(kind, "serialization") for name, kind in _DETAILS.get(error, {}).items()}
        return self.named(_name(error.code), answer(members | details, success=False))


def _inlined(part: Any, aliases: Mapping[str, Json]) -> Any:  # noqa: ANN401 (JSON)
    """Replace references to type aliases by the types: the name of an alias is known in its own module only."""
    match part:
        case {"$ref": reference, **beside} if (name := reference.rpartition("/")[2]) in aliases:
            return _inlined(aliases[name], aliases) | beside
        case dict():
            return {key: _inlined(value, aliases) for key, value in part.items()}
        case list():
            return [_inlined(value, aliases) for value in part]
    return part


def _name(code: str) -> str:
    """Name an error after its code, the word that app developers know."""
    return to_pascal(code.lower())


def answer(members: Json, *, success: bool) -> Json:
    description = "Always true: what was asked for is done." if success else "Always false: `code` says why."
    properties = {"success": {"type": "boolean", "description": description}, **members}
    return {"type": "object", "properties": properties, "required": list(properties)}
