"""The functions' handlers in this process, loaded from their folders as Lambda loads them."""

from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from tools.local.workspace import REPOSITORY


@dataclass(frozen=True)
class Context:
    """What Lambda hands to a handler beside the event."""

    function_name: str
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:local"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"


def load(function: str) -> Any:  # noqa: ANN401 (a module, whose names mypy cannot know)
    """Return the module of a function: its `handler`, and whatever else it defines. It is loaded anew each time."""
    path = REPOSITORY / "functions" / function / "handler.py"
    spec = spec_from_file_location(f"functions.{function}.handler", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
