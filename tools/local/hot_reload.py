"""Update the running functions with each edit of `functions/` and `layers/`, as a deployment would, in seconds."""

import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from watchfiles import Change, watch

from infra import build
from tools.local.background import beside
from tools.local.progress import Progress
from tools.local.stack import DEPLOYED_AT_THE_NEXT_START, Stack
from tools.local.workspace import REPOSITORY

# `infra` and `migrations` are deployed by the CDK alone.
_WATCHED = ("functions", "infra", "layers", "migrations")
# Migrations run when the system is deployed.
_DEPLOYED_ONLY = "migrate_database"
# An editor writes several files at once; 50 ms after the last one, they are taken together.
_SETTLED_MS = 50
_AT_ONCE = 4
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
            if edited := _edited(changes):
                _renew(reload, edited, progress)

    with beside(run):
        yield


def _edited(changes: set[tuple[Change, str]]) -> set[Path]:
    """Return the files and new folders that were written, or what was removed when there are none."""
    paths = {(change, Path(path)) for change, path in changes}
    written = {path for change, path in paths if path.is_file() or (path.is_dir() and change is Change.added)}
    # Editors first write to a file of another name, which is gone by now.
    return written or {path for _, path in paths if not path.exists()}


def _renew(reload: "HotReload", changed: set[Path], progress: Progress) -> None:
    """Renew what was changed, and tell what became of it."""
    began = time.monotonic()
    try:
        now = {path for path in changed if reload.can_renew(path)}
        if later := changed - now:
            progress(f"{_names(later)}: {DEPLOYED_AT_THE_NEXT_START}")
        if now:
            renewed = reload.renew(now)
            progress(f"{_names(now)}: renewed {', '.join(renewed)} ({time.monotonic() - began:.1f} s)")
    except subprocess.CalledProcessError:  # whose output is on the terminal already
        progress(f"{_names(changed)}: cannot be compiled or imported, and nothing is renewed")
    except (BotoCoreError, ClientError) as error:
        progress(f"{_names(changed)}: not renewed: {error}")


def _names(paths: set[Path]) -> str:
    return ", ".join(sorted(str(path.relative_to(REPOSITORY)) for path in paths))


def _part(path: Path) -> tuple[str, str]:
    """Return what a file belongs to: `("functions", "start_session")`."""
    kind, name, *_ = (*path.relative_to(REPOSITORY).parts, "")
    return kind, name


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

    def can_renew(self, changed: Path) -> bool:
        """Whether the file belongs to something that runs. What is new, or was removed, is a deployment's to change."""
        kind, name = _part(changed)
        running = {"functions": self._functions, "layers": self._layers}.get(kind, {})
        return name in running and (REPOSITORY / kind / name).exists()

    def renew(self, changed: Iterable[Path]) -> list[str]:
        """Build what these files belong to and put it into the functions. Return the names of those renewed.

        Raises CalledProcessError when it does not build, or when a function could not be imported; the functions are
        then as they were.
        """
        parts = {_part(path) for path in changed}
        edited = {name for kind, name in parts if kind == "functions"}
        layers = {self._layers[name]: name for kind, name in parts if kind == "layers"}
        users = {name: used for name, used in self._versions().items() if not layers.keys().isdisjoint(used)}
        _check_imports(edited | users.keys(), self._layers)
        newest = {arn: self._publish(arn, name) for arn, name in layers.items()}

        def use(function: str) -> None:
            versions = [newest.get(arn, version) for arn, version in users[function].items()]
            self._lambda.update_function_configuration(FunctionName=self._functions[function], Layers=versions)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(use, users))
        for function in edited:
            content = _archive(build.function(function, build.HOST).folder)
            self._lambda.update_function_code(FunctionName=self._functions[function], ZipFile=content)
        return sorted(edited | users.keys())

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
