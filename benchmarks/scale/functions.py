"""The functions as Lambda loads them."""

import runpy
from dataclasses import dataclass
from typing import Any

from local.workspace import REPOSITORY


@dataclass(frozen=True)
class Context:
    """What Lambda hands to a handler beside the event."""

    function_name: str
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "benchmark"
    aws_request_id: str = "benchmark"


def load(function: str) -> dict[str, Any]:
    """Return what the module of a function's handler defines: `handler`, and whatever it needs."""
    return runpy.run_path(str(REPOSITORY / "functions" / function / "handler.py"))
