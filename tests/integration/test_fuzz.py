"""Calls that follow docs/openapi.json, in any order, are answered as it says; others are refused.

`make test` plays the same few hundred stories each time, `make fuzz` new ones, and many more.
"""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from tests.support.gateway import application
from tests.support.phone import Phone
from tests.support.world import World
from tools.contract.document import document
from tools.contract.published import closed

pytestmark = pytest.mark.slow  # random input

# A valid body may get 400 for these reasons, which no schema can express: a code, or a field and its message. A member
# without a profile goes live; or an age is compared with the other one, or with the stored one.
CROSSED = "The lowest age must not be above the highest"
REASONS = {"PROFILE_REQUIRED", ("maxAge", CROSSED), ("minAge", CROSSED)}


def accepted(ctx: object, response: Any, case: Any) -> None:
    """Fail when a body that is as described is refused for a reason that is not listed."""
    if response.status_code != 400 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    body = response.json()
    refused = {(error["field"], error["message"]) for error in body.get("errors", ())} or {body["code"]}
    assert refused <= REASONS, f"{case.body!r} is as described, and refused: {body}"


def test_any_order_of_calls_is_answered_as_described(world: World, pytestconfig: pytest.Config) -> None:
    config = SchemathesisConfig.from_dict(
        {
            "headers": {"Authorization": f"Bearer {Phone().token}"},
            "generation": {"with-security-parameters": False},
            "checks": {
                "positive_data_acceptance": {"enabled": False},  # `accepted` is stricter
                # These two take each path for a resource of its own; DELETE /profile removes the preferences, too.
                "ensure_resource_availability": {"enabled": False},
                "use_after_free": {"enabled": False},
            },
        }
    )
    schema = schemathesis.openapi.from_dict(closed(document()), config=config)
    schema.app = application
    new_stories = pytestconfig.getoption("--fuzz-stories")
    succeeded = set()

    class Calls(schema.as_state_machine()):  # type: ignore[misc]  # it is made of the schema
        def setup(self) -> None:
            world.begin_anew()

        def validate_response(self, response: Any, case: Any, **kwargs: Any) -> None:
            super().validate_response(response, case, additional_checks=[accepted], **kwargs)
            if response.status_code < 300:
                succeeded.add(case.operation.label)

    Calls.run(
        settings=settings(
            max_examples=new_stories or 12,
            derandomize=not new_stories,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
    )
    assert succeeded >= {
        f"{method.upper()} {path}"
        for path, operations in schema.raw_schema["paths"].items()
        for method, operation in operations.items()
        if any(response.get("links") for response in operation["responses"].values())
    }
