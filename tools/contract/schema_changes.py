"""Find what in a newer JSON Schema breaks a program that was made for an older one.

There is one rule. All that a program may send by the older schema must be taken by the newer one; all that it may
receive by the newer schema must have been told by the older one. A keyword that is not known here breaks programs when
it differs, so that no kind of change passes because it was forgotten.
"""

import json
from collections.abc import Iterator
from enum import Enum
from itertools import chain
from typing import Any

type Json = dict[str, Any]

# Members whose values may get more in answers and events; docs/clients.md and docs/domain-events.md say so.
GROWING = frozenset({"code", "photoStatus", "reason", "status"})

# A discriminator is for generators alone: the alternatives themselves are compared.
_SAYS_NOTHING = frozenset(
    {"$comment", "deprecated", "description", "discriminator", "example", "examples", "externalDocs", "title"}
)
_HIGHEST = frozenset({"exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum"})
_LOWEST = frozenset({"exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"})
_NARROWING = frozenset({"format", "pattern", "type"}) | _HIGHEST | _LOWEST
_LOOKED_INTO = frozenset({"additionalProperties", "const", "enum", "items", "properties", "required"})


class Way(Enum):
    """Whether a program sends what a schema describes, or receives it."""

    SENT = "sent"
    RECEIVED = "received"


def breaks(old: Json, new: Json, way: Way, path: str = "") -> list[str]:
    """Return how `new` breaks a program that was made for `old`; neither has references (`inlined`)."""
    before, after = _alternatives(old), _alternatives(new)
    found = []
    if (_NULL in before) != (_NULL in after) and (_NULL in before) == (way is Way.SENT):
        found.append(_say(path, f"may {'no longer' if way is Way.SENT else 'now'} be null"))
    before, after = ([one for one in some if one != _NULL] for some in (before, after))
    partners = []
    for one in before:
        compared = [(_differences(one, other, way, path), other) for other in after]
        differences, partner = min(compared, key=lambda pair: len(pair[0]), default=([_say(path, "is gone")], None))
        found += differences
        partners.append(partner)
    for other in after if way is Way.RECEIVED else ():
        known = other in partners or not all(_differences(one, other, way, path) for one in before)
        if not known and not _is_growth(other, before):
            members = ", ".join(other.get("properties", ()))
            found.append(_say(path, f"may now be {f'an object of {members}' if members else other.get('type')}"))
    return list(dict.fromkeys(found))


def inlined(document: Json, part: Any) -> Any:  # noqa: ANN401 (JSON)
    """Replace the references in a part of a document by their targets; no target may contain itself."""
    match part:
        case {"$ref": str(reference), **beside}:
            target = document
            for step in reference.removeprefix("#/").split("/"):
                target = target[step]
            return inlined(document, target) | inlined(document, beside)
        case dict():
            return {key: inlined(document, value) for key, value in part.items()}
        case list():
            return [inlined(document, value) for value in part]
    return part


_NULL: Json = {"type": "null"}


def _alternatives(schema: Json) -> list[Json]:
    """Return the alternatives of a schema: schemas of one type each, without unions."""
    for union in ("anyOf", "oneOf"):
        if union in schema:
            beside = {key: value for key, value in schema.items() if key != union}
            return [*chain.from_iterable(_alternatives(_both(beside, one)) for one in schema[union])]
    if isinstance(schema.get("type"), list):
        return [*chain.from_iterable(_alternatives(schema | {"type": kind}) for kind in schema["type"])]
    return [_NULL] if schema.get("type") == "null" else [schema]


def _both(one: Json, other: Json) -> Json:
    both = one | other
    if "properties" in one and "properties" in other:
        both["properties"] = one["properties"] | other["properties"]
    if "required" in one and "required" in other:
        both["required"] = [*one["required"], *other["required"]]
    return both


def _is_growth(other: Json, before: list[Json]) -> bool:
    """Whether an alternative differs from those before by a new value of a member that may get more, such as `code`."""
    for name in GROWING & other.get("properties", {}).keys():
        known = [_values(one.get("properties", {}).get(name, {})) or set() for one in before]
        if (values := _values(other["properties"][name])) and not values & set().union(*known):
            return True
    return False


def _differences(old: Json, new: Json, way: Way, path: str) -> list[str]:
    """Compare two schemas of one alternative each."""
    if old == new:
        return []
    return [
        *_keywords(old, new, way, path),
        *_allowed_values(old, new, way, path),
        *_members(old, new, way, path),
        *breaks(old.get("items", {}), new.get("items", {}), way, f"{path}[]"),
    ]


def _keywords(old: Json, new: Json, way: Way, path: str) -> Iterator[str]:
    allowed, accepted = (old, new) if way is Way.SENT else (new, old)
    for keyword in sorted((old.keys() | new.keys()) - _SAYS_NOTHING - _LOOKED_INTO):
        if keyword.startswith("x-") or old.get(keyword) == new.get(keyword):
            continue
        if keyword not in _NARROWING or (keyword in accepted and not _is_within(keyword, allowed, accepted)):
            was, is_ = (json.dumps(one[keyword]) if keyword in one else "not set" for one in (old, new))
            yield _say(path, f"{keyword} is {is_}, was {was}")


def _is_within(keyword: str, allowed: Json, accepted: Json) -> bool:
    limit, bound = allowed.get(keyword), accepted[keyword]
    if limit is None:
        return False
    if keyword in _HIGHEST:
        return bool(limit <= bound)
    if keyword in _LOWEST:
        return bool(limit >= bound)
    return (keyword, limit, bound) == ("type", "integer", "number")


def _allowed_values(old: Json, new: Json, way: Way, path: str) -> Iterator[str]:
    was, is_ = _values(old), _values(new)
    may_get_more = way is Way.SENT or path.rpartition(".")[2] in GROWING
    if is_ is None:
        if was is not None and not may_get_more:
            yield _say(path, "may now be any value")
    elif was is None:
        if way is Way.SENT:
            yield _say(path, f"may only be {', '.join(sorted(is_))} now")
    else:
        yield from (_say(path, f"is no longer {value}") for value in sorted(was - is_))
        if not may_get_more:
            yield from (_say(path, f"may now be {value}") for value in sorted(is_ - was))


def _members(old: Json, new: Json, way: Way, path: str) -> Iterator[str]:
    members, now = old.get("properties", {}), new.get("properties", {})
    for name, member in members.items():
        if name in now:
            yield from breaks(member, now[name], way, _inner(path, name))
        else:
            yield _say(_inner(path, name), "is gone")
    required, requires = set(old.get("required", ())), set(new.get("required", ()))
    if way is Way.SENT:
        yield from (_say(_inner(path, name), "is now required") for name in sorted(requires - required))
    else:
        yield from (
            _say(_inner(path, name), "may now be absent") for name in sorted(required - requires) if name in now
        )
    others, other = (schema.get("additionalProperties", True) for schema in (old, new))
    if others != other and (isinstance(others, dict) or (way is Way.SENT and other is not True)):
        yield _say(path, "takes other members")


def _values(schema: Json) -> set[str] | None:
    """Return the values that a schema allows, as JSON, or None for any."""
    if "const" in schema:
        return {json.dumps(schema["const"])}
    if "enum" in schema:
        return {json.dumps(value) for value in schema["enum"]}
    return {"false", "true"} if schema.get("type") == "boolean" else None


def _inner(path: str, name: str) -> str:
    return f"{path}.{name}".removeprefix(".")


def _say(path: str, what: str) -> str:
    return f"{path} {what}".removeprefix(" ")
