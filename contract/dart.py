"""A copy of docs/openapi.json from which openapi-generator's dart-dio makes a client that can be compiled and used.

With json_serializable, the generator turns a union into one class in which the last alternative wins, and a fixed
boolean into an enumeration that is not valid Dart. The copy therefore has no unions and no fixed booleans.

python -m contract.dart <folder>    writes the package `after_hours_client` there; Java is needed
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contract.compatibility import resolved
from contract.document import document

type Json = dict[str, Any]

_NULL = {"type": "null"}
# `enumUnknownDefaultCase`: a value that a later version adds must not be an error in a released app.
_OPTIONS = "serializationLibrary=json_serializable,pubName=after_hours_client,enumUnknownDefaultCase=true"


def simplified(description: Json) -> Json:
    """Return the copy of a description without unions and fixed booleans."""
    components = description["components"]
    merged = {
        name: _merged([resolved(description, alternative) for alternative in schema["oneOf"]])
        if "oneOf" in schema
        else {key: value for key, value in schema.items() if key != "not"}
        for name, schema in components["schemas"].items()
    }
    used = json.dumps([description["paths"], components["responses"], merged])
    schemas = {name: schema for name, schema in merged.items() if f'"#/components/schemas/{name}"' in used}
    simple: Json = _without_fixed_booleans(description | {"components": components | {"schemas": schemas}})
    return simple


def _merged(alternatives: list[Json]) -> Json:
    """Return one object schema for all alternatives: what some lack is optional, what differs keeps its type alone."""
    properties: Json = {}
    for alternative in alternatives:
        for name, schema in alternative["properties"].items():
            properties[name] = _either(properties.get(name, schema), schema)
    required = [name for name in properties if all(name in schema["required"] for schema in alternatives)]
    return {"type": "object", "properties": properties, "required": required}


def _either(one: Json, other: Json) -> Json:
    if one == other:
        return one
    nulls = [schema.get("type") == "null" for schema in (one, other)]
    if any(nulls):
        return {"anyOf": [one if nulls[1] else other, _NULL]}
    return {key: value for key, value in one.items() if key in {"type", "description"}}


def _without_fixed_booleans(part: Any) -> Any:  # noqa: ANN401 (JSON)
    match part:
        case {"type": "boolean", "const": _, **rest}:
            return {"type": "boolean"} | rest
        case dict():
            return {key: _without_fixed_booleans(value) for key, value in part.items()}
        case list():
            return [_without_fixed_booleans(value) for value in part]
    return part


def generate(folder: Path) -> None:
    """Write the Dart package. Raises `CalledProcessError` with what the generator said."""
    with TemporaryDirectory() as temporary:
        file = Path(temporary) / "openapi.json"
        file.write_text(json.dumps(simplified(document())))
        generator = Path(sys.executable).with_name("openapi-generator-cli")
        options = ("-g", "dart-dio", "-i", file, "-o", folder, "--additional-properties", _OPTIONS)
        subprocess.run([generator, "generate", *options], check=True, capture_output=True, text=True)


if __name__ == "__main__":
    if not shutil.which("java"):
        sys.exit("openapi-generator needs Java, and there is none here.")
    generate(Path(sys.argv[1]))
    sys.stdout.write(f"Wrote the Dart package after_hours_client to {sys.argv[1]}\n")
