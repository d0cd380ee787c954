"""Find what in a new docs/openapi.json or docs/events breaks a program that was made for an older one.

There is one rule: a difference breaks programs, unless it is one of the few that cannot. So no kind of change passes
because it was forgotten. A harmless change that is refused, such as a longer `maxLength`, gets a line in
exceptions.txt.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

type Json = dict[str, Any]

_EXCEPTIONS = Path(__file__).with_name("exceptions.txt")

# Members whose values may get more in answers and events; docs/clients.md and docs/domain-events.md say so.
_GROWING = frozenset({"code", "photoStatus", "reason", "status"})
_TEXTS = frozenset({"deprecated", "description", "example", "examples", "externalDocs", "links", "summary", "title"})
_METHODS = frozenset({"delete", "get", "head", "options", "patch", "post", "put", "trace"})


class Way(Enum):
    """Whether a program sends what a schema describes, or receives it."""

    SENT = "sent"
    RECEIVED = "received"


def incompatibilities(old: Json, new: Json) -> list[str]:
    """Return how a description of the API breaks an app that was made for an older one."""
    before, after = ({name: (part, way) for name, part, way in _parts(each)} for each in (old, new))
    found = [f"{name} is gone" for name in before if name not in after]
    for name, (part, way) in after.items():
        is_needed = way is Way.SENT and part.get("required")
        # An app handles an unknown error by the first digit of its status. It cannot read an unknown success.
        is_success = re.search(r" [123]\d\d$", name)
        if name in before:
            found += breaks(before[name][0], part, way, name)
        elif (is_needed or is_success) and " ".join(name.split()[:2]) in before:  # the operation is not new itself
            found.append(f"{name} is new")
    return found


def without_exceptions(reasons: list[str]) -> list[str]:
    """Return the reasons that match no pattern of exceptions.txt."""
    lines = [line for line in _EXCEPTIONS.read_text().splitlines() if line and not line.startswith("#")]
    return [reason for reason in reasons if not any(fnmatchcase(reason, pattern) for pattern in lines)]


def resolved(document: Json, part: Any) -> Any:  # noqa: ANN401 (JSON)
    """Follow a reference to a component, if the part is one."""
    if "$ref" not in part:
        return part
    *_, kind, name = part["$ref"].split("/")
    return document["components"][kind][name]


def _inlined(document: Json, part: Any) -> Any:  # noqa: ANN401 (JSON)
    """Replace the references in a part of a document by their targets; no target may contain itself."""
    match part:
        case {"$ref": _, **beside}:
            return _inlined(document, resolved(document, part)) | _inlined(document, beside)
        case dict():
            return {key: _inlined(document, value) for key, value in part.items()}
        case list():
            return [_inlined(document, value) for value in part]
    return part


def _parts(document: Json) -> Iterator[tuple[str, Json, Way]]:
    """Yield the parts of a description that an app builds on, each with its name."""
    document = _inlined(document, document)
    yield "API", _without(document, "components", "info", "openapi", "paths", "tags"), Way.SENT
    for name, scheme in document["components"].get("securitySchemes", {}).items():
        yield f"API's scheme {name}", scheme, Way.SENT
    for path, item in document["paths"].items():
        for method in item.keys() & _METHODS:
            name, operation = f"{method.upper()} {path}", item[method]
            beside = _without(operation, "parameters", "requestBody", "responses")
            yield name, beside | {"path": _without(item, *_METHODS)}, Way.SENT
            for parameter in operation.get("parameters", ()):
                yield f"{name} {parameter['in']} {parameter['name']}", parameter, Way.SENT
            body = operation.get("requestBody", {})
            for media_type, content in body.get("content", {}).items():
                yield f"{name} body {media_type}", _without(body, "content") | content, Way.SENT
            for status, answer in operation["responses"].items():
                yield f"{name} {status}", _without(answer, "content", "headers"), Way.RECEIVED
                for kind in ("content", "headers"):
                    for key, part in answer.get(kind, {}).items():
                        yield f"{name} {status} {key}", part, Way.RECEIVED


def _without(part: Json, *keys: str) -> Json:
    return {key: value for key, value in part.items() if key not in keys}


def breaks(old: Json, new: Json, way: Way, path: str) -> list[str]:
    """Return how a schema, or a part of an operation, breaks a program that was made for an older one."""
    if "oneOf" in old or "oneOf" in new:  # a union's members are those of its alternatives, together
        return _alternatives(old.get("oneOf", [old]), new.get("oneOf", [new]), way, path)
    found = []
    for keyword in sorted((old.keys() | new.keys()) - _TEXTS):
        was, now = old.get(keyword), new.get(keyword)
        if was == now or keyword.startswith("x-"):
            continue
        match keyword, was, now:
            case "anyOf", list(), list():
                found += _alternatives(was, now, way, path)
            case "schema" | "items", dict(), dict():
                found += breaks(was, now, way, path if keyword == "schema" else f"{path}[]")
            case "properties", dict(), dict():
                found += [f"{path}.{name} is gone" for name in was if name not in now]
                for name in was.keys() & now.keys():
                    found += breaks(was[name], now[name], way, f"{path}.{name}")
            case "required", list() | None, list() | None:
                needed, promised = set(now or ()) - set(was or ()), set(was or ()) - set(now or ())
                found += [f"{path}.{name} is now required" for name in sorted(needed) if way is Way.SENT]
                found += [f"{path}.{name} may now be absent" for name in sorted(promised) if way is Way.RECEIVED]
            case "enum", list(), list() if way is Way.SENT or path.rpartition(".")[2] in _GROWING:
                found += [f"{path} is no longer {json.dumps(value)}" for value in was if value not in now]
            case _:
                is_, before = (json.dumps(one[keyword]) if keyword in one else "not set" for one in (new, old))
                found.append(f"{path} {keyword} is {is_}, was {before}")
    return found


def _alternatives(old: list[Json], new: list[Json], way: Way, path: str) -> list[str]:
    found = []
    for one in old:
        differences = [breaks(one, other, way, path) for other in new]
        fewest: list[str] = min(differences, key=len)
        found += fewest
    if way is Way.RECEIVED:
        codes = [_code(one) for one in old]
        for other in new:
            is_growth = _code(other) and _code(other) not in codes
            if not is_growth and all(breaks(one, other, way, path) for one in old):
                found.append(f"{path} may now be {json.dumps(other)}")
    return list(dict.fromkeys(found))


def _code(alternative: Json) -> Any:  # noqa: ANN401 (JSON)
    return alternative.get("properties", {}).get("code", {}).get("const")
