"""Find what in a new docs/openapi.json breaks an app that was made for an older one."""

from collections.abc import Iterator
from typing import Any, NamedTuple

type Json = dict[str, Any]


class _Fact(NamedTuple):
    """One thing that a body's schema says of a member: that it is known or required, a type, a fixed value."""

    path: str
    what: str


_KNOWN, _REQUIRED, _NULL = "known", "required", "null"
_HIGHEST = frozenset({"maximum", "maxLength", "maxItems"})
_LOWEST = frozenset({"minimum", "minLength", "minItems", "minProperties"})


def incompatibilities(old: Json, new: Json) -> list[str]:
    """Say what in `new` breaks an app that was made for `old`. More endpoints, members and optional fields do not."""
    found = []
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            after = new["paths"].get(path, {}).get(method)
            broken = _broken_operation(old, before, new, after) if after else ["is gone"]
            found += [f"{method.upper()} {path} {reason}" for reason in broken]
    return found


def _broken_operation(old: Json, before: Json, new: Json, after: Json) -> Iterator[str]:
    sent, taken = _facts(old, before.get("requestBody", {})), _facts(new, after.get("requestBody", {}))
    yield from (f"no longer takes {fact}" for fact in _lost(sent, taken, but=_REQUIRED))
    yield from (f"now requires {path}" for path, what in sorted(taken - sent) if what == _REQUIRED)
    yield from _narrowed(_limits(old, before.get("requestBody", {})), _limits(new, after.get("requestBody", {})))
    for status, answer in before["responses"].items():
        if status not in after["responses"]:
            yield f"no longer answers {status}"
            continue
        known, told = _facts(old, answer), _facts(new, after["responses"][status])
        yield from (f"{status} no longer has {fact}" for fact in _lost(known, told, but=_NULL))
        yield from (
            f"{status} may now have null for {path}"
            for path, what in sorted(told - known)
            if what == _NULL and (path, _KNOWN) in known
        )


def _lost(before: set[_Fact], after: set[_Fact], *, but: str) -> Iterator[str]:
    lost = before - after
    gone = {path for path, what in lost if what == _KNOWN}
    yield from sorted(gone)
    yield from (f"{path} ({what})" for path, what in sorted(lost) if path not in gone and what != but)


def _narrowed(before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]) -> Iterator[str]:
    """Say which limits are stricter than they were. One that is new is left alone: it may only be newly told."""
    for (path, keyword), limit in after.items():
        was = before.get((path, keyword), limit)
        if limit < was if keyword in _HIGHEST else limit > was:
            yield f"now limits {path} ({keyword} {limit})"


def _limits(document: Json, part: Json) -> dict[tuple[str, str], float]:
    return {
        (path, keyword): schema[keyword]
        for path, schema in _parts(document, part)
        for keyword in schema.keys() & (_HIGHEST | _LOWEST)
    }


def _facts(document: Json, part: Json) -> set[_Fact]:
    return {fact for path, schema in _parts(document, part) for fact in _facts_of(schema, path)}


def _facts_of(schema: Json, path: str) -> Iterator[_Fact]:
    types = schema.get("type", [])
    yield from (_Fact(path, kind) for kind in ([types] if isinstance(types, str) else types))
    yield from (_Fact(path, repr(value)) for value in schema.get("enum", []))
    if "const" in schema:
        yield _Fact(path, repr(schema["const"]))
    yield from (_Fact(_inner(path, name), _KNOWN) for name in schema.get("properties", {}))
    yield from (_Fact(_inner(path, name), _REQUIRED) for name in schema.get("required", []))


def _parts(document: Json, part: Json) -> Iterator[tuple[str, Json]]:
    """Yield the schemas of a request's or an answer's body, each with the path of what it describes."""
    content = resolved(document, part).get("content", {})
    if content:
        yield from _schemas(document, content["application/json"]["schema"], "")


def _schemas(document: Json, schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    schema = resolved(document, schema)
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        yield from _schemas(document, member, _inner(path, name))
    for alternative in (*schema.get("anyOf", []), *schema.get("oneOf", [])):
        yield from _schemas(document, alternative, path)
    if "items" in schema:
        yield from _schemas(document, schema["items"], f"{path}[]")


def _inner(path: str, name: str) -> str:
    return f"{path}.{name}".removeprefix(".")


def resolved(document: Json, part: Json) -> Json:
    """Follow a reference to a component, if the part is one."""
    if "$ref" not in part:
        return part
    *_, kind, name = part["$ref"].split("/")
    resolved: Json = document["components"][kind][name]
    return resolved
