"""Each kind of change of a JSON Schema that breaks a program is found, in its requests and in its answers."""

from typing import Any

import pytest

from tools.contract.schema_changes import Way, breaks, inlined

type Json = dict[str, Any]


def member(**schema: Any) -> Json:
    return {"type": "object", "properties": {"a": schema}}


TEXT, NUMBER, ANY = {"type": "string"}, {"type": "integer"}, dict[str, Any]()
CLOSED = {"type": "object", "additionalProperties": False}
A, B = ({"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in "AB")

HIGHEST = ("exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum")
LOWEST = ("exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum")

# Each second schema allows all that the first one allows, and more.
WIDER: dict[str, tuple[Json, Json]] = {
    "type": (TEXT, ANY),
    "type, whole numbers": (NUMBER, {"type": "number"}),
    "type, one of two": (TEXT, {"type": ["string", "integer"]}),
    "null, as a type": (TEXT, {"type": ["string", "null"]}),
    "null, in a union": (TEXT, {"anyOf": [TEXT, {"type": "null"}]}),
    "enum": (TEXT | {"enum": ["A"]}, TEXT | {"enum": ["A", "B"]}),
    "enum, any value": (TEXT | {"enum": ["A"]}, TEXT),
    "const": (TEXT | {"const": "A"}, TEXT | {"enum": ["A", "B"]}),
    "const, true": ({"type": "boolean", "const": True}, {"type": "boolean"}),
    "pattern": (TEXT | {"pattern": "^a"}, TEXT),
    "format": (TEXT | {"format": "uuid"}, TEXT),
    **{name: ({name: 5}, {name: 6}) for name in HIGHEST},
    **{name: ({name: 5}, {name: 4}) for name in LOWEST},
    **{f"{name}, none": ({name: 5}, ANY) for name in HIGHEST + LOWEST},
    "items": ({"items": TEXT}, ANY),
    "items, deeper": ({"items": member(maximum=5)}, {"items": member(maximum=6)}),
    "required": (member() | {"required": ["a"]}, member()),
    "properties, deeper": (member(maxLength=5), member(maxLength=6)),
    "union": (A, {"oneOf": [A, B]}),
    "union, beside members": (A, {"properties": {"b": TEXT}, "oneOf": [A, B]}),
    "union, deeper": ({"anyOf": [A, B | {"maxProperties": 1}]}, {"anyOf": [A, B]}),
}

# Of these an answer may not even narrow: a program may wait for a value that does not come any more.
VALUES = {"type, one of two", "enum", "const", "const, true", "union", "union, beside members"}

# A program that was made for one of each pair fails with the other, in both ways.
DIFFERENT: dict[str, tuple[Json, Json]] = {
    "type": (TEXT, NUMBER),
    "a member": (member(), {"type": "object"}),
    "multipleOf": (NUMBER, NUMBER | {"multipleOf": 5}),
    "default": ({"default": 1}, {"default": 2}),
    "default, none": ({"default": 1}, ANY),
    "readOnly": (ANY, {"readOnly": True}),
    "a keyword that is not known": (ANY, {"contentEncoding": "base64"}),
    "additionalProperties, of a type": ({"additionalProperties": TEXT}, {"additionalProperties": NUMBER}),
    "additionalProperties, no longer of a type": ({"additionalProperties": TEXT}, ANY),
    "a keyword of unions that is not known": ({"allOf": [A]}, {"allOf": [A, B]}),
    "a renamed value": (member(enum=["A"]), member(enum=["B"])),
    "a renamed code": ({"properties": {"code": {"const": "A"}}}, {"properties": {"code": {"const": "B"}}}),
}

SAME: dict[str, tuple[Json, Json]] = {
    "texts": ({"description": "a", "title": "a", "examples": [1], "x-a": 1}, {"deprecated": True}),
    "two ways to write null": ({"type": ["string", "null"]}, {"oneOf": [{"type": "null"}, TEXT]}),
    "two ways to write a value": (TEXT | {"const": "A"}, TEXT | {"enum": ["A"]}),
    "the order of alternatives": ({"anyOf": [A, B]}, {"oneOf": [B, A]}),
    "a discriminator": ({"oneOf": [A, B], "discriminator": {"propertyName": "kind"}}, {"oneOf": [A, B]}),
}


@pytest.mark.parametrize("kind", WIDER)
def test_a_request_may_widen_and_an_answer_may_narrow(kind: str) -> None:
    narrow, wide = WIDER[kind]
    assert breaks(narrow, wide, Way.SENT) == []
    assert breaks(wide, narrow, Way.SENT)
    assert breaks(narrow, wide, Way.RECEIVED)
    assert bool(breaks(wide, narrow, Way.RECEIVED)) == (kind in VALUES)


@pytest.mark.parametrize("kind", DIFFERENT)
def test_a_difference_breaks_both_ways(kind: str) -> None:
    assert all(breaks(*DIFFERENT[kind], way) for way in Way)


@pytest.mark.parametrize("kind", SAME)
def test_two_ways_to_write_one_schema_break_nothing(kind: str) -> None:
    one, other = SAME[kind]
    assert [breaks(*pair, way) for pair in ((one, other), (other, one)) for way in Way] == [[]] * 4


def test_an_answer_may_have_more_members_and_a_request_may_take_more() -> None:
    fewer, more = {"properties": {"a": TEXT}}, {"properties": {"a": TEXT, "b": TEXT}, "required": ["b"]}
    assert breaks(fewer, more, Way.RECEIVED) == []
    assert breaks(CLOSED, {"type": "object"}, Way.RECEIVED) == []
    assert breaks(fewer, more | {"required": []}, Way.SENT) == []
    assert breaks(fewer, more, Way.SENT) == ["b is now required"]
    assert breaks(more, fewer, Way.SENT) == ["b is gone"]
    assert breaks(member(), CLOSED | member(), Way.SENT) == ["takes other members"]


@pytest.mark.parametrize("name", ["code", "status", "photoStatus", "reason"])
def test_an_answer_may_have_more_values_of_what_may_grow(name: str) -> None:
    def one_of(*values: str) -> Json:
        return {"properties": {name: {"enum": list(values)}}}

    assert breaks(one_of("A"), one_of("A", "B"), Way.RECEIVED) == []
    assert breaks(one_of("A"), {"oneOf": [one_of("A"), one_of("B")]}, Way.RECEIVED) == []
    assert breaks(one_of("A", "B"), one_of("A"), Way.RECEIVED) == [f'{name} is no longer "B"']
    assert breaks(one_of("A", "B"), one_of("A"), Way.SENT) == [f'{name} is no longer "B"']


def test_references_are_followed() -> None:
    document = {"components": {"A": {"items": {"$ref": "#/components/B"}}, "B": TEXT}}
    assert inlined(document, {"$ref": "#/components/A", "description": "a"}) == {"items": TEXT, "description": "a"}
