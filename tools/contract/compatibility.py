"""Find what in a new docs/openapi.json breaks an app that was made for an older one."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from tools.contract.schema_changes import Json, Way, breaks, inlined

_NEWLY_TOLD = Path(__file__).with_name("newly_told.txt")

# Keys that do not matter to an app, and keys that have a comparison of their own. Any other difference breaks apps.
_TEXTS = frozenset({"deprecated", "description", "example", "examples", "externalDocs", "links", "summary"})
_OF_A_DOCUMENT = frozenset({"components", "info", "openapi", "paths", "tags"})
_OF_AN_OPERATION = frozenset({"parameters", "requestBody", "responses"})
_METHODS = frozenset({"delete", "get", "head", "options", "patch", "post", "put", "trace"})


def incompatibilities(old: Json, new: Json) -> list[str]:
    """Return how `new` breaks an app that was made for `old`. More endpoints, members and optional fields do not."""
    before, after = inlined(old, old), inlined(new, new)
    found = list(_different(before, after, _OF_A_DOCUMENT))
    found += _schemes(before, after)
    operations = dict(_operations(after))
    for name, operation in _operations(before):
        broken = _operation(operation, operations[name]) if name in operations else ["is gone"]
        found += [f"{name} {reason}" for reason in broken]
    return found


def newly_told() -> list[str]:
    """Return the patterns of reasons that break nothing: older behaviour that is documented only now."""
    return [line for line in _NEWLY_TOLD.read_text().splitlines() if line and not line.startswith("#")]


def but_newly_told(reasons: list[str]) -> list[str]:
    """Return reasons without those that break nothing."""
    known = newly_told()
    return [reason for reason in reasons if not any(fnmatchcase(reason, pattern) for pattern in known)]


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield each operation by its method and path; `path` has the parts that the path shares among its operations."""
    for path, item in document["paths"].items():
        shared = {key: value for key, value in item.items() if key not in _METHODS}
        for method in item.keys() & _METHODS:
            yield f"{method.upper()} {path}", item[method] | {"path": shared}


def _operation(old: Json, new: Json) -> Iterator[str]:
    yield from _different(old, new, _OF_AN_OPERATION)
    yield from _parameters(old.get("parameters", []), new.get("parameters", []))
    yield from _body(old.get("requestBody"), new.get("requestBody"))
    yield from _responses(old["responses"], new["responses"])


def _different(old: Json, new: Json, elsewhere: frozenset[str]) -> Iterator[str]:
    """Name the differences of two parts, but for texts, extensions, and the keys that are compared elsewhere."""
    for key in sorted((old.keys() | new.keys()) - _TEXTS - elsewhere):
        if not key.startswith("x-") and old.get(key) != new.get(key):
            yield f"{key} is {new.get(key, 'not set')}, was {old.get(key, 'not set')}"


def _schemes(old: Json, new: Json) -> Iterator[str]:
    schemes, now = (document.get("components", {}).get("securitySchemes", {}) for document in (old, new))
    for name, scheme in schemes.items():
        reasons = _different(scheme, now.get(name, {}), frozenset())
        yield from (f"security scheme {name} {reason}" for reason in reasons)


def _parameters(old: list[Json], new: list[Json]) -> Iterator[str]:
    before, after = ({(one["in"], one["name"]): one for one in some} for some in (old, new))
    for key in before | after:
        name, was, is_ = " ".join(key), before.get(key), after.get(key)
        if is_ is None:
            yield f"no longer takes {name}"
        elif was is None:
            yield from [f"now requires {name}"] if is_.get("required") else []
        else:
            yield from (f"{name} {reason}" for reason in _part(was, is_, Way.SENT))


def _body(old: Json | None, new: Json | None) -> Iterator[str]:
    if old and new:
        yield from (f"body {reason}" for reason in _part(old, new, Way.SENT))
    elif old:
        yield "no longer takes a body"
    elif new and new.get("required"):
        yield "now requires a body"


def _responses(old: Json, new: Json) -> Iterator[str]:
    for status, was in old.items():
        if status not in new:
            yield f"no longer answers {status}"
            continue
        yield from (f"{status} {reason}" for reason in _part(was, new[status], Way.RECEIVED))
        headers, now = was.get("headers", {}), new[status].get("headers", {})
        yield from (f"{status} no longer has the header {name}" for name in headers if name not in now)
        for name in headers.keys() & now.keys():
            reasons = _part(headers[name], now[name], Way.RECEIVED)
            yield from (f"{status} header {name} {reason}" for reason in reasons)
    # An app handles an unknown error by the first digit of its status. It cannot read an unknown success.
    yield from (f"may now answer {status}" for status in new if status not in old and not status.startswith(("4", "5")))


def _part(old: Json, new: Json, way: Way) -> Iterator[str]:
    """Compare a parameter, a body, an answer or a header: something that may be required, and has schemas."""
    yield from _different(old, new, frozenset({"content", "headers", "required", "schema"}))
    was, is_ = old.get("required", False), new.get("required", False)
    if way is Way.SENT and is_ and not was:
        yield "is now required"
    if way is Way.RECEIVED and was and not is_:
        yield "may now be absent"
    yield from breaks(old.get("schema", {}), new.get("schema", {}), way)
    for media_type, content in old.get("content", {}).items():
        if media_type in new.get("content", {}):
            yield from _part(content, new["content"][media_type], way)
        else:
            yield f"is no longer {media_type}"


def resolved(document: Json, part: Json) -> Json:
    """Follow a reference to a component, if the part is one."""
    if "$ref" not in part:
        return part
    *_, kind, name = part["$ref"].split("/")
    resolved: Json = document["components"][kind][name]
    return resolved
