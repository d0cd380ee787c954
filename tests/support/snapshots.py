"""Templates as they are read in review: what matters of each resource, in lines, without hashes, nothing twice.

`make rights` writes them into tests/infra/snapshots: all of production, and of every other stage what differs from it.
A role's rights in production are in docs/rights.md, and routes are compared with the table of endpoints.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.rights import readable
from tests.support.synthesized import Synthesized

FOLDER = Path(__file__).parents[1] / "infra" / "snapshots"

type Resources = dict[str, set[str]]  # "<type>: <name>" → lines

# Of a path in the CDK's tree, at the end of a logical id and of one inside of it; of code, behind a version's
_HASH = re.compile(r"[0-9A-F]{8}([0-9a-f]{32})?$|[0-9A-F]{8}(?=(5432|IndirectPort)?[0-9A-F]{8}$)")
_LEFT_OUT_TYPES = {"AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Integration"}
_LEFT_OUT = {"Metadata", "Tags", "S3Bucket", "S3Key", "ZipFile", "RouteSettings"} | {
    "DashboardBody", "QueryString", "AlarmDescription",  # texts for people
}  # fmt: skip
_MANY = 3  # resources of one type, of which is said once what they have in common


def whole(synthesized: Synthesized) -> str:
    """Write all resources, and the outputs."""
    resources = _resources(synthesized)
    return _written({name: lines for name, lines in resources.items() if not name.startswith("AWS::IAM::Policy")})


def difference(synthesized: Synthesized, base: Synthesized) -> str:
    """Write which resources of the base are not there, and what the others have more (`+`) or less (`-`)."""
    here, there = _resources(synthesized), _resources(base)
    changes = {"Not there: ": {name for name in there if name not in here}}
    for name, new in here.items():
        old = there.get(name, set())
        if lines := {f"+ {line}" for line in new - old} | {f"- {line}" for line in old - new}:
            changes[name] = lines
    return _written(changes)


def _written(resources: Resources) -> str:
    """Write JSON. What all of a type have in common is under `every`, and those with the same lines are together."""
    by_type: dict[str, Resources] = defaultdict(dict)
    for full_name, lines in resources.items():
        kind, _, name = full_name.partition(": ")
        by_type[kind][name] = lines
    written: dict[str, tuple[str, ...]] = {}
    for kind, of_kind in by_type.items():
        common = set.intersection(*of_kind.values()) if len(of_kind) >= _MANY else set()
        alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name, lines in of_kind.items():
            alike[tuple(sorted(lines - common))].append(name)
        written |= {f"{kind}: {' '.join(sorted(names))}": lines for lines, names in alike.items()}
        written |= {f"{kind}: every": tuple(sorted(common))} if common else {}
    return json.dumps(written, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _resources(synthesized: Synthesized) -> Resources:
    stack = synthesized.stack.stack_name
    text = json.dumps([synthesized.template["Resources"], synthesized.template["Outputs"]])
    for logical_id in synthesized.template["Resources"]:
        text = text.replace(f'"{logical_id}"', f'"{_HASH.sub("", logical_id)}"')
    for spelling in (stack, stack.lower(), stack.replace("-", "")):
        text = text.replace(spelling, "<stack>")
    if stack.endswith("local"):
        text = re.sub('"(x86_64|arm64)"', '"<as this machine>"', text)
    resources, outputs = map(_plain, json.loads(text))
    assert len(resources) == len(synthesized.template["Resources"]), "two have one name without their hashes"
    functions = {
        name.removesuffix("Function"): each["Properties"]["FunctionName"]
        for name, each in resources.items()
        if each["Type"] == "AWS::Lambda::Function" and "FunctionName" in each["Properties"]
    }
    found = {"Outputs: ": set(_lines("", outputs))}
    for name, resource in resources.items():
        kind = resource.pop("Type")
        if kind in _LEFT_OUT_TYPES:
            continue
        lines = {line.removeprefix("Properties.") for line in _lines("", resource)}
        for stem, function in functions.items():
            if name.startswith(stem):  # the function itself, its role and so on: they are alike in this
                kind += " of a function"
                lines = {line.replace(function, "<stack>-~").replace(stem, "~") for line in lines}
        found[f"{kind}: {name}"] = lines
    return found


def _plain(value: Any) -> Any:
    """Replace references by readable strings, and leave out what changes without meaning."""
    with suppress(ValueError):
        return readable(value)
    match value:
        case dict():
            return {key: _plain(part) for key, part in value.items() if key not in _LEFT_OUT}
        case list():
            return [_plain(part) for part in value]
    return value


def _lines(path: str, value: Any) -> Iterator[str]:
    """Flatten a value: a line for each of its parts, with the path to the part."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _lines(f"{path}.{key}".removeprefix("."), part)
    else:
        for part in value if isinstance(value, list) else [value]:
            yield f"{path} = {_flat(part)}"


def _flat(value: Any) -> str:
    match value:
        case dict():
            return "; ".join(f"{key} {_flat(part)}" for key, part in value.items())
        case list():
            return ", ".join(sorted(map(_flat, value)))
    return str(value)
