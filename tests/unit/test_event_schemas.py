"""docs/events is what the models say and what consumers may build on, and docs/domain-events.md names all of it."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft4Validator

from tools.contract import events
from tools.contract.published import SCHEMAS, faults

type Json = dict[str, Any]

PAGE = events.PAGE.read_text()
[SAMPLE] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def test_the_files_are_up_to_date_and_break_no_consumer() -> None:
    assert events.incompatibilities(SCHEMAS, events.schemas()) == [], "this breaks those who hear our events"
    assert events.schemas() == SCHEMAS, "docs/events is stale: run `make openapi`"


@pytest.mark.parametrize("name", events.EVENTS)
def test_the_page_says_of_an_event_what_its_model_says(name: str) -> None:
    model = events.EVENTS[name]
    assert f"| [`{name}`](events/{name}.json) | {model.__doc__} |" in PAGE
    for field in model.model_fields.values():
        rows = [row for row in PAGE.splitlines() if row.startswith(f"| `{field.alias}` |")]
        assert any((name in row or "every event" in row) and f"| {field.description} |" in row for row in rows)


@pytest.mark.parametrize("schema", events.schemas().values(), ids=events.EVENTS)
def test_a_schema_is_of_draft_4_as_the_registry_takes_it(schema: Json) -> None:
    Draft4Validator.check_schema(schema)
    assert "$ref" not in json.dumps(schema)
    assert '"const"' not in json.dumps(schema), "Draft 4 does not know it, and would let everything pass"


def test_the_page_shows_an_event_as_described_and_any_other_is_noticed() -> None:
    source, name, detail = SAMPLE["source"], SAMPLE["detail-type"], SAMPLE["detail"]
    Draft4Validator(events.schemas()[name]).validate(SAMPLE)
    assert faults(source, name, detail) == []
    for change in ({"reason": "bored"}, {"latitude": 52.5}, {"endedAt": "yesterday"}):
        assert faults(source, name, detail | change)
    assert faults(source, "SessionStarted", detail)
    assert faults(source, "SessionPaused", detail)


def test_an_event_that_is_gone_or_lacks_a_member_breaks_consumers() -> None:
    old, new = events.schemas(), events.schemas()
    del new["PhotoReady"]
    new["SessionEnded"]["properties"]["detail"]["required"].remove("endedAt")
    assert events.incompatibilities(old, new) == ["PhotoReady is gone", "SessionEnded.detail.endedAt may now be absent"]
