"""Update the running functions with each edit of `functions/` and `layers/`, as a deployment would, in seconds."""

import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from watchfiles import watch

from infra import build
from tools.local.background import beside
from tools.local.progress import Progress
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY

# `infra` and `migrations` are deployed by the CDK alone.
_WATCHED = ("functions", "infra", "layers", "migrations")
# Migrations run when the system is deployed.
_DEPLOYED_ONLY = "migrate_database"
# An editor writes several files at once; 50 ms after the last one, they are taken together.
_SETTLED_MS = 50
_FAST = 1  # zlib's lowest level: the archive does not leave this machine

# Imports handlers as Lambda does: from layers and the function's folder alone. A layer has its packages in `python`.
_IMPORT = """
import importlib, os, sys
layers, *functions = sys.argv[1:]
sys.path[:0] = [os.path.join(layer, "python") for layer in layers.split(os.pathsep)]
for folder in functions:
    sys.path.insert(0, folder)
    importlib.import_module("handler").handler
    sys.path.remove(folder)
    del sys.modules["handler"]
"""


@contextmanager
def watching(stack: Stack, progress: Progress) -> Iterator[None]:
    """Renew what is edited until the block ends, and tell which functions were renewed."""
    reload = HotReload(stack)

    def run(ending: Event) -> None:
        folders = [REPOSITORY / name for name in _WATCHED]
        for changes in watch(*folders, debounce=10 * _SETTLED_MS, step=_SETTLED_MS, stop_event=ending):
            # A part is the folder of what a file belongs to: `functions/start_session`.
            parts = {Path(*Path(path).relative_to(REPOSITORY).parts[:2]) for _, path in changes}
            try:
                outcome = reload.renew(parts)
            except subprocess.CalledProcessError:  # whose output is on the terminal already
                outcome = "cannot be compiled or imported, and nothing is renewed"
            except (BotoCoreError, ClientError) as error:
                outcome = f"not renewed: {error}"
            progress(f"{', '.join(sorted(map(str, parts)))}: {outcome}")

    with beside(run):
        yield


class HotReload:
    """Renews the functions of one running system."""

    def __init__(self, stack: Stack) -> None:
        self._lambda = boto3.client("lambda", **stack.aws)
        self._functions = {name: deployed for name, deployed in stack.functions.items() if name != _DEPLOYED_ONLY}
        # The ARN of each deployed layer, by its folder below `layers/`, which is its description.
        self._layers = {
            Path(layer["LatestMatchingVersion"]["Description"]).name: layer["LayerArn"]
            for layer in self._lambda.list_layers()["Layers"]
        }

    def renew(self, parts: set[Path]) -> str:
        """Build these parts and put them into the functions. Return what was done.

        Raises CalledProcessError when one does not build, or when a function could not be imported; the functions are
        then as they were.
        """
        began = time.monotonic()
        there = {part for part in parts if (REPOSITORY / part).exists()}
        edited = {part.name for part in there if part.name in self._functions}
        layers = {self._layers[part.name]: part.name for part in there if part.name in self._layers}
        if len(edited) + len(layers) < len(parts):  # something new, removed, or that the CDK alone deploys
            return "deployed at the next start (make stop, then make run)"
        users = {name: used for name, used in self._versions().items() if not layers.keys().isdisjoint(used)}
        _check_imports(edited | users.keys(), self._layers)
        newest = {arn: self._publish(arn, name) for arn, name in layers.items()}
        for function, used in users.items():
            versions = [newest.get(arn, version) for arn, version in used.items()]
            self._lambda.update_function_configuration(FunctionName=self._functions[function], Layers=versions)
        for function in edited:
            content = _archive(build.function(function, build.HOST).folder)
            self._lambda.update_function_code(FunctionName=self._functions[function], ZipFile=content)
        return f"renewed {', '.join(sorted(edited | users.keys()))} ({time.monotonic() - began:.1f} s)"

    def _versions(self) -> dict[str, dict[str, str]]:
        """Return the layers that each function uses: ARN → ARN of the version."""
        pages = self._lambda.get_paginator("list_functions").paginate()
        layers = {each["FunctionName"]: each.get("Layers", []) for page in pages for each in page["Functions"]}
        return {
            name: {layer["Arn"].rpartition(":")[0]: layer["Arn"] for layer in layers[deployed]}
            for name, deployed in self._functions.items()
        }

    def _publish(self, arn: str, name: str) -> str:
        """Publish a new version of a layer, and return its ARN. Older ones go: MiniStack keeps them in memory."""
        deployed = arn.rpartition(":")[2]  # MiniStack takes an ARN for the name of another layer
        content = {"ZipFile": _archive(build.layer(name, build.HOST).folder)}
        new = self._lambda.publish_layer_version(LayerName=deployed, Description=f"layers/{name}", Content=content)
        for version in self._lambda.list_layer_versions(LayerName=deployed)["LayerVersions"]:
            if 1 < version["Version"] < new["Version"] - 1:
                self._lambda.delete_layer_version(LayerName=deployed, VersionNumber=version["Version"])
        return str(new["LayerVersionArn"])


def _check_imports(functions: Iterable[str], layers: Iterable[str]) -> None:
    """Raises CalledProcessError when a function cannot be imported: it would answer every call with a 502."""
    path = os.pathsep.join(str(build.layer(name, build.HOST).folder) for name in layers)
    folders = [build.function(name, build.HOST).folder for name in functions]
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", _IMPORT, path, *folders], check=True)


def _archive(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as target:
        for path in filter(Path.is_file, folder.rglob("*")):
            target.write(path, path.relative_to(folder))
    return archive.getvalue()
