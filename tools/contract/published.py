"""What is put on the event bus is what docs/events describes."""

import json
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator

from tools.local.workspace import REPOSITORY

# Draft 4 has no format `uuid`; without a checker that has it every text would pass.
_FORMATS = Draft202012Validator.FORMAT_CHECKER
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (REPOSITORY / "docs" / "events").glob("*.json")}


def closed(part: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return a copy of a description, or a part of one, in which no object has a field that is not described."""
    match part:
        case {"type": "object", "properties": dict()}:
            return {"additionalProperties": False} | {key: closed(value) for key, value in part.items()}
        case dict():
            return {key: closed(value) for key, value in part.items()}
        case list():
            return [closed(value) for value in part]
    return part


_DETAILS = {
    name: Draft4Validator(closed(schema["properties"]["detail"]), format_checker=_FORMATS)
    for name, schema in SCHEMAS.items()
}


def faults(source: str, name: str, detail: dict[str, Any]) -> list[str]:
    """Say how an event is not as described. Members that are not described are faults, too."""
    if source != "after-hours" or name not in _DETAILS:
        return [f"there is no event {name} of {source}"]
    return [f"{name}: {error.message}" for error in _DETAILS[name].iter_errors(detail)]
