"""Builds the folders that Lambda runs, layers and functions, under `.build/`: with uv, without Docker.

A build's name has a hash of all its sources, so that a second synthesis uses it again; by the same hash the CDK knows
whether to deploy it. A build is renamed when it is complete, so an interrupted one is never used.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import MAGIC_NUMBER
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILDS = ROOT / ".build"
LOCK = ROOT / "requirements.lock"  # the hash of each file that may be installed

ANNOUNCEMENT = "building "  # of the line that announces each new build, since it takes time

LAYER_MOUNT = "/opt"
FUNCTION_MOUNT = "/var/task"

_PYTHON_VERSION = (3, 13)
_BUILDS_KEPT = 3
_DIGEST_LENGTH = 16
_LEFT_OUT_OF_SOURCES = ("__pycache__", "*.pyc", ".DS_Store", "requirements.txt")

# Files that no function reads would still be unzipped and scanned at every cold start. Metadata, too: pydantic searches
# each *.dist-info for plugins before it makes the first model.
_NEVER_READ = ("bin", "*.dist-info", "**/tests", "**/testing", "boto3/data", "boto3/examples")
# We keep those of botocore's 400 service models that we use, and all files beside them (endpoints, retries).
_AWS_SERVICES = frozenset({"events", "s3", "scheduler", "secretsmanager"})


@dataclass(frozen=True)
class Platform:
    """A machine that runs functions: its architecture as Lambda names it, and uv's options for its wheels."""

    architecture: str
    tag: str
    uv_options: tuple[str, ...] = ()


# Lambda's python3.13 is Amazon Linux 2023 (glibc 2.34), so that every manylinux wheel up to 2.28 runs there.
AWS = Platform("arm64", "aws-arm64", ("--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13"))
HOST = Platform(
    "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64",
    f"{sys.platform}-{platform.machine()}",
)


@dataclass(frozen=True)
class Build:
    """A finished folder, and the hash of its sources."""

    folder: Path
    digest: str


def layer(name: str, target: Platform) -> Build:
    """Build `layers/<name>`: its `python/` folder together with its requirements, in the format of a layer."""
    source = ROOT / "layers" / name
    return _build(
        f"layer-{name}",
        sources={"python": source / "python"},
        requirements=source / "requirements.txt",
        installed_in="python",
        mount=LAYER_MOUNT,
        target=target,
    )


def function(name: str, target: Platform, *, folders: Iterable[str] = ()) -> Build:
    """Build `functions/<name>`, with its own requirements, if any, and copies of the repository's `folders`."""
    source = ROOT / "functions" / name
    return _build(
        f"function-{name}",
        sources={".": source} | {folder: ROOT / folder for folder in folders},
        requirements=source / "requirements.txt",
        installed_in=".",
        mount=FUNCTION_MOUNT,
        target=target,
    )


def _build(
    name: str,
    *,
    sources: dict[str, Path],
    requirements: Path,
    installed_in: str,
    mount: str,
    target: Platform,
) -> Build:
    """Assemble our `sources` (destination → folder) and third-party `requirements`."""
    packages = _packages(name, requirements, f"{mount}/{installed_in}", target) if requirements.exists() else None

    def assemble(folder: Path) -> None:
        for destination, source in sources.items():
            for file in _files(source):
                copy = folder / destination / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, copy)
        _compile(folder, mount)
        _make_readable(folder)
        if packages:  # links, not copies: a finished build never changes
            shutil.copytree(packages.folder, folder / installed_in, copy_function=os.link, dirs_exist_ok=True)

    parts = [packages.digest.encode()] if packages else []
    for destination, source in sources.items():
        for file in _files(source):
            parts += [f"{destination}/{file.as_posix()}".encode(), (source / file).read_bytes()]
    return _once(name, _digest(*parts), assemble)


def _packages(name: str, requirements: Path, mount: str, target: Platform) -> Build:
    """Build the third-party packages apart, so that an edit of our code needs no new installation."""

    def install(folder: Path) -> None:
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(folder)]
        # --no-deps: the requirements name all packages, so that two builds agree. Copies, because links would let our
        # change of modes reach uv's cache.
        command += ["--no-deps", "--only-binary", ":all:", "--link-mode", "copy", "--requirement", str(requirements)]
        command += ["--require-hashes", "--constraint", str(LOCK)]
        subprocess.run([*command, *target.uv_options], check=True)
        _trim(folder)
        _compile(folder, mount)
        _make_readable(folder)

    return _once(f"packages-{name}", _digest(target.tag.encode(), mount.encode(), requirements.read_bytes()), install)


def _trim(folder: Path) -> None:
    for pattern in _NEVER_READ:
        for unused in list(folder.glob(pattern)):
            shutil.rmtree(unused)
    for models in (path for path in (folder / "botocore" / "data").glob("*/") if path.name not in _AWS_SERVICES):
        shutil.rmtree(models)


def _compile(folder: Path, mount: str) -> None:
    """Write byte-code beside each module, as the runtime would if its disk were not read-only.

    The byte-code has unchecked hashes (PEP 552). The default kind has its source's time, which the CDK's archives set
    to 1980: Python would compile every module anew at each cold start.
    """
    options = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", mount]
    subprocess.run([sys.executable, "-m", "compileall", *options, str(folder)], check=True)


def _make_readable(folder: Path) -> None:
    """Let all users read the folder: Lambda reads it as another user, and the umask here may be strict."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _once(name: str, digest: str, make: Callable[[Path], None]) -> Build:
    """Return the build of that name and hash; the first call makes it."""
    folder = BUILDS / f"{name}-{digest}"
    if not folder.exists():
        sys.stderr.write(f"{ANNOUNCEMENT}{name}\n")
        BUILDS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=BUILDS) as scratch:
            unfinished = Path(scratch) / name
            unfinished.mkdir()
            make(unfinished)
            try:
                unfinished.rename(folder)
            except OSError:
                if not folder.exists():  # else another synthesis was faster, with the same result
                    raise
    os.utime(folder)
    _delete_older(name)
    return Build(folder, digest)


def _delete_older(name: str) -> None:
    """Delete all but the last used builds of a name; the others may be for another platform or branch."""
    builds = [path for path in BUILDS.glob(f"{name}-*") if len(path.name) == len(name) + 1 + _DIGEST_LENGTH]
    for path in sorted(builds, key=lambda path: path.stat().st_mtime, reverse=True)[_BUILDS_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _digest(*parts: bytes) -> str:
    """Hash the parts together with this module and the byte-code format, which affect every build, too."""
    if sys.version_info[:2] != _PYTHON_VERSION:
        raise RuntimeError(f"Byte-code for Lambda is compiled with Python 3.13; this is {platform.python_version()}.")
    total = hashlib.sha256()
    for part in (Path(__file__).read_bytes(), MAGIC_NUMBER, *parts):
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:_DIGEST_LENGTH]


def _files(source: Path) -> Iterator[Path]:
    """Yield our source files, relative to `source`, in the same order on every machine."""
    for path in sorted(source.rglob("*")):
        file = path.relative_to(source)
        left_out = any(fnmatch(part, pattern) for part in file.parts for pattern in _LEFT_OUT_OF_SOURCES)
        if path.is_file() and not left_out:
            yield file
