"""What is put on the event bus is what docs/events describes."""

from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator

from tools.contract import events
from tools.contract.components import closed

# Draft 4 has no format `uuid`; without a checker that has it every text would pass.
_FORMATS = Draft202012Validator.FORMAT_CHECKER
_DETAILS = {
    name: Draft4Validator(closed(schema["properties"]["detail"]), format_checker=_FORMATS)
    for name, schema in events.schemas().items()
}


def faults(source: str, name: str, detail: dict[str, Any]) -> list[str]:
    """Say how an event is not as described. Members that are not described are faults, too."""
    if source != "after-hours" or name not in _DETAILS:
        return [f"there is no event {name} of {source}"]
    return [f"{name}: {error.message}" for error in _DETAILS[name].iter_errors(detail)]
