"""What in a new docs/openapi.json breaks an app that was made for an older one."""

from collections.abc import Iterator
from typing import Any, NamedTuple

type Json = dict[str, Any]


class _Fact(NamedTuple):
    """One thing that a body's schema says of a member: that it is known or required, a type, a fixed value."""

    path: str
    what: str


_KNOWN, _REQUIRED, _NULL = "known", "required", "null"


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


def _facts(document: Json, part: Json) -> set[_Fact]:
    content = resolved(document, part).get("content", {})
    return set(_facts_of(document, content["application/json"]["schema"], "")) if content else set()


def _facts_of(document: Json, schema: Json, path: str) -> Iterator[_Fact]:
    schema = resolved(document, schema)
    types = schema.get("type", [])
    yield from (_Fact(path, kind) for kind in ([types] if isinstance(types, str) else types))
    yield from (_Fact(path, repr(value)) for value in schema.get("enum", []))
    if "const" in schema:
        yield _Fact(path, repr(schema["const"]))
    for name, member in schema.get("properties", {}).items():
        inner = f"{path}.{name}".removeprefix(".")
        yield _Fact(inner, _KNOWN)
        if name in schema.get("required", []):
            yield _Fact(inner, _REQUIRED)
        yield from _facts_of(document, member, inner)
    for alternative in (*schema.get("anyOf", []), *schema.get("oneOf", [])):
        yield from _facts_of(document, alternative, path)
    if "items" in schema:
        yield from _facts_of(document, schema["items"], f"{path}[]")


def resolved(document: Json, part: Json) -> Json:
    """Follow a reference to a component, if the part is one."""
    if "$ref" not in part:
        return part
    *_, kind, name = part["$ref"].split("/")
    resolved: Json = document["components"][kind][name]
    return resolved
