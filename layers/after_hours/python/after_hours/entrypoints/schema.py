"""Bases and types of the JSON models: camelCase names, strict types, and text that PostgreSQL can store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

MAX_REPORTED_ERRORS = 50  # a body of a million unknown fields would make a response too large for API Gateway
MAX_FIELD_NAME = 100


class RequestModel(BaseModel):
    """A request body. Types are strict (`"30"` and `true` are not 30) and unknown fields are refused.

    Null is the same as absent, since generated clients write null for fields that were not set. `null_is_a_choice`
    names the fields in which null is a value of its own.

    >>> class Search(RequestModel):
    ...     max_km: Annotated[int, Whole]
    >>> Search.model_validate({"maxKm": 30.0})
    Search(max_km=30)
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
    )
    null_is_a_choice: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, content: object) -> object:
        if issubclass(cls, Patch) or not isinstance(content, Mapping):
            return content
        absent = {field.alias for name, field in cls.model_fields.items() if name not in cls.null_is_a_choice}
        return {name: value for name, value in content.items() if value is not None or name not in absent}


class Patch(RequestModel):
    """A PATCH: an absent field keeps its value, null clears one that may be null. At least one field is required."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("empty_patch", "At least one field is required")
        return self


class QueryModel(BaseModel):
    """The query parameters of an endpoint that reads. Values are text, and unknown parameters are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)


class ResponseModel(BaseModel):
    """A part of a response, made from a row: members have the columns' names in camelCase; times are UTC with `Z`."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, hide_input_in_errors=True)


def _whole(number: object) -> object:
    return int(number) if isinstance(number, float) and number.is_integer() else number


# JSON has one type of number (RFC 8259): `30.0` and `3e1` are 30, and Dart writes doubles like that. Any other number,
# infinity included, stays a float, and the strict type refuses it.
Whole = BeforeValidator(_whole)


def _storable(text: str) -> str:
    """Refuse text that Python and JSON allow but PostgreSQL does not: NUL, and halves of surrogate pairs."""
    if "\0" in text:
        raise ValueError("must not contain the NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text") from None
    return text


Text = Annotated[str, AfterValidator(_storable), Field(json_schema_extra={"pattern": r"^[^\u0000]*$"})]


def _moment(text: object) -> datetime:
    """Parse ISO 8601, or RFC 3339 with its small `t` and `z`, and convert to UTC: PostgreSQL refuses some offsets."""
    if not isinstance(text, str):
        raise ValueError("must be a time in ISO 8601")  # noqa: TRY004 (pydantic reports only ValueErrors)
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time in ISO 8601") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


def field_errors(error: ValidationError) -> list[dict[str, str]]:
    """Return one `{"field", "message"}` for each bad field, by its path as the client wrote it."""
    errors: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in detail["loc"]) or "body"
        printable = field[:MAX_FIELD_NAME].encode(errors="replace").decode()
        errors.setdefault(printable, _message(detail))
    return [{"field": field, "message": message} for field, message in list(errors.items())[:MAX_REPORTED_ERRORS]]


def _message(detail: Any) -> str:  # noqa: ANN401 (pydantic's ErrorDetails is a loose TypedDict)
    match detail["type"]:
        case "missing":
            return "This field is required"
        case "extra_forbidden":
            return "This field is not known"
        case "model_type" | "model_attributes_type":
            return "A JSON object is expected"
        case "string_unicode":
            return "Must be valid Unicode text"
        case _:
            message = str(detail["msg"]).removeprefix("Value error, ")
            return message[:1].upper() + message[1:]
