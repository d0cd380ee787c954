"""Update the running functions with each edit of `functions/` and `layers/`, as a deployment would, in seconds."""

import io
import subprocess
import time
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from threading import Event

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from watchfiles import watch

from infra import build
from local.background import beside
from local.progress import Progress
from local.stack import Stack
from local.workspace import REPOSITORY

_WATCHED = ("functions", "layers")
# Migrations run when the system is deployed: an edit of this function takes effect at the next start.
_DEPLOYED_ONLY = "migrate_database"
# An editor writes several files at once; 50 ms after the last one, they are taken together.
_SETTLED_MS = 50
_AT_ONCE = 4
_FAST = 1  # zlib's lowest level: the archive does not leave this machine


@contextmanager
def watching(stack: Stack, progress: Progress) -> Iterator[None]:
    """Renew what is edited until the block ends, and tell which functions were renewed."""
    renewal = Renewal(stack)

    def run(ending: Event) -> None:
        folders = [REPOSITORY / name for name in _WATCHED]
        for changes in watch(*folders, debounce=10 * _SETTLED_MS, step=_SETTLED_MS, stop_event=ending):
            _renew(renewal, {Path(path) for _, path in changes}, progress)

    with beside(run):
        yield


def _renew(renewal: "Renewal", changed: set[Path], progress: Progress) -> None:
    """Renew what was changed, and tell what became of it."""
    # Editors first write to a file of another name, which is gone by now.
    left = {path for path in changed if path.exists()} or changed
    names = ", ".join(sorted(str(path.relative_to(REPOSITORY)) for path in left))
    began = time.monotonic()
    try:
        renewed = renewal.renew(changed)
    except subprocess.CalledProcessError:  # whose output is on the terminal already
        progress(f"{names}: not built, and nothing renewed")
    except (BotoCoreError, ClientError) as error:
        progress(f"{names}: not renewed: {error}")
    else:
        if renewed:
            progress(f"{names}: renewed {', '.join(renewed)} ({time.monotonic() - began:.1f} s)")


class Renewal:
    """Renews the functions of one running system."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._lambda = boto3.client("lambda", **stack.aws)

    def renew(self, changed: Iterable[Path]) -> list[str]:
        """Build what these files belong to and put it into the functions. Return the names of those renewed.

        Raises CalledProcessError when it does not build; the functions are then as they were.
        """
        parts = {path.relative_to(REPOSITORY).parts[:2] for path in changed}
        renewed: set[str] = set()
        for kind, name in sorted(parts):
            if kind == "layers" and name in self._layers:
                renewed |= self._renew_layer(name)
            elif kind == "functions" and name in self._stack.functions and name != _DEPLOYED_ONLY:
                self._lambda.update_function_code(
                    FunctionName=self._stack.functions[name], ZipFile=_archive(build.function(name, build.HOST).folder)
                )
                renewed.add(name)
        return sorted(renewed)

    @cached_property
    def _layers(self) -> dict[str, str]:
        """The deployed layers: the folder below `layers/`, which is their description, and their deployed name."""
        return {
            Path(layer["LatestMatchingVersion"]["Description"]).name: layer["LayerName"]
            for layer in self._lambda.list_layers()["Layers"]
        }

    def _renew_layer(self, name: str) -> set[str]:
        layer = self._layers[name]
        published = self._lambda.publish_layer_version(
            LayerName=layer,
            Description=f"layers/{name}",
            Content={"ZipFile": _archive(build.layer(name, build.HOST).folder)},
        )
        functions = [function for function in self._stack.functions if function != _DEPLOYED_ONLY]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            use = partial(self._use, published["LayerArn"], published["LayerVersionArn"])
            renewed = {function for function, used in zip(functions, pool.map(use, functions), strict=True) if used}
        # MiniStack keeps every version in memory.
        for version in self._lambda.list_layer_versions(LayerName=layer)["LayerVersions"]:
            if 1 < version["Version"] < published["Version"]:
                self._lambda.delete_layer_version(LayerName=layer, VersionNumber=version["Version"])
        return renewed

    def _use(self, layer: str, version: str, function: str) -> bool:
        """Let a function use this version of a layer. Return whether it uses the layer at all."""
        name = self._stack.functions[function]
        used = [each["Arn"] for each in self._lambda.get_function_configuration(FunctionName=name).get("Layers", [])]
        wanted = [version if arn.rpartition(":")[0] == layer else arn for arn in used]
        if wanted == used:
            return False
        self._lambda.update_function_configuration(FunctionName=name, Layers=wanted)
        return True


def _archive(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as target:
        for path in folder.rglob("*"):
            if path.is_file():
                target.write(path, path.relative_to(folder))
    return archive.getvalue()
