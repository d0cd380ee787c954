"""What JSON models share: camelCase names, strict types, and text that PostgreSQL can hold."""

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

MAX_REPORTED_ERRORS = 50  # a body of a million unknown fields must not make an answer that API Gateway refuses to carry
MAX_FIELD_NAME = 100


class RequestModel(BaseModel):
    """A request body. Types are strict (`"30"` and `true` are not 30) and unknown fields are refused.

    Null is the same as absent, since generated clients write fields that were not set as null. `null_is_a_choice` names
    the fields whose null says something that absence does not.
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
    """A change: what is absent stays, what is null is cleared, where it can be. At least one field is sent."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("empty_patch", "At least one field is required")
        return self


class QueryModel(BaseModel):
    """The query parameters of an endpoint that reads. Values are text, and unknown parameters are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)


class ResponseModel(BaseModel):
    """A part of an answer, filled from a row: columns by their names, members in camelCase, times as UTC with `Z`."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, hide_input_in_errors=True)


def _whole(number: object) -> object:
    return int(number) if isinstance(number, float) and number.is_integer() else number


# JSON knows one kind of number: `30.0` and `3e1` are 30, and Dart writes a double like that. Any other number, infinity
# included, stays a float, which the strict type then refuses.
Whole = BeforeValidator(_whole)


def _storable(text: str) -> str:
    """Refuse what is a string for Python and JSON but not for PostgreSQL: NUL, and halves of surrogate pairs."""
    if "\0" in text:
        raise ValueError("must not contain the NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text") from None
    return text


Text = Annotated[str, AfterValidator(_storable), Field(json_schema_extra={"pattern": r"^[^\u0000]*$"})]


def _moment(text: object) -> datetime:
    """Read a time in ISO 8601 or RFC 3339 (which has small `t` and `z`), as UTC: PostgreSQL takes few offsets."""
    if not isinstance(text, str):
        raise ValueError("must be a time in ISO 8601")  # noqa: TRY004 (pydantic reports only ValueErrors)
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time in ISO 8601") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


def field_errors(error: ValidationError) -> list[dict[str, str]]:
    """One `{"field", "message"}` for each bad field: its path as the client wrote it, and nothing about Python."""
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
