"""What is handed to Lambda: complete, trimmed, compiled, and for the right processor."""

import json
import ssl
import struct
import subprocess
import sys
from hashlib import sha256
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from typing import Any

import pytest
from after_hours.foundation import connecting

from infra import build
from tests.support.synthesized import Synthesized

UNCHECKED_HASH = 0b01
ELF_AARCH64 = 183

KB = 1000
MB = 1000 * KB
# Unpacked. Most of a layer is machine code: libpq and OpenSSL, pydantic's core, decoders of pictures.
BUDGETS = {"after_hours": 42 * MB, "imaging": 40 * MB, "migrate_database": 31 * MB}

FUNCTIONS = [path.parent.name for path in sorted((build.ROOT / "functions").glob("*/handler.py"))]

# Isolated from this environment: no site-packages, no PYTHONPATH, only what Lambda would have.
IMPORT_HANDLER = """
import json, sys
folders = sys.argv[1:]
sys.path[:0] = folders
import handler
assert callable(handler.handler)
files = {name: module.__file__ for name, module in sys.modules.items() if getattr(module, "__file__", None)}
print(json.dumps({"folders": folders, "files": files, "stdlib": json.__file__.rsplit("/json/", 1)[0]}))
"""


def _run_isolated(script: str, *arguments: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-B", "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env={})


def _folders(synthesized: Synthesized) -> list[Path]:
    return [*synthesized.layers.values(), *(synthesized.code(name) for name in FUNCTIONS)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_imports_with_its_asset_and_layers_only(local: Synthesized, tmp_path: Path, name: str) -> None:
    layers = [local.layers[layer] / "python" for layer in local.layers_of(name)]
    result = _run_isolated(IMPORT_HANDLER, local.code(name), *layers, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    loaded = json.loads(result.stdout)
    allowed = (*loaded["folders"], loaded["stdlib"])
    assert {name: file for name, file in loaded["files"].items() if not file.startswith(allowed)} == {}
    assert not any("site-packages" in file for file in loaded["files"].values())


def test_nothing_outgrows_its_budget(aws: Synthesized) -> None:
    """Lambda fetches and unpacks all of it at a cold start. Who needs more raises the budget, and says why."""
    folders = aws.layers | {name: aws.code(name) for name in FUNCTIONS}
    sizes = {
        name: sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        for name, folder in folders.items()
    }
    budgets = dict.fromkeys(FUNCTIONS, 10 * KB) | BUDGETS
    assert {name: size for name, size in sizes.items() if size > budgets[name]} == {}


@pytest.mark.parametrize("stage", ["aws", "local"])
def test_every_module_has_byte_code_that_is_taken_unchecked(request: pytest.FixtureRequest, stage: str) -> None:
    for folder in _folders(request.getfixturevalue(stage)):
        modules = list(folder.rglob("*.py"))
        assert modules
        for module in modules:
            compiled = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
            header = compiled.read_bytes()[:16]
            assert header[:4] == MAGIC_NUMBER, module
            assert struct.unpack("<I", header[4:8]) == (UNCHECKED_HASH,), module
            assert header[8:] == source_hash(module.read_bytes()), module
            assert str(build.ROOT).encode() not in compiled.read_bytes(), "a traceback names the file on Lambda"


def test_everyone_may_read_all_files_and_machine_code_for_aws_is_aarch64(aws: Synthesized) -> None:
    machines = {}
    for file in (file for folder in _folders(aws) for file in folder.rglob("*") if file.is_file()):
        assert file.stat().st_mode & 0o004, file
        with file.open("rb") as opened:
            start = opened.read(20)
        if start.startswith(b"\x7fELF"):
            machines[file.name] = struct.unpack("<H", start[18:20])[0]
    for library in ("_psycopg", "_imaging", "_pi_heif", "libwebp"):
        assert any(name.startswith(library) for name in machines), library
    assert set(machines.values()) == {ELF_AARCH64}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one function, and no builds yet."""
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "BUILDS", tmp_path / ".build")
    (tmp_path / "functions" / "greet").mkdir(parents=True)
    (tmp_path / "functions" / "greet" / "handler.py").write_text("handler = print\n")
    return tmp_path


def test_a_second_build_is_the_first_one_until_something_is_edited(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither byte-code of this machine nor another platform makes a build of pure Python another one."""
    first, greet = build.function("greet", build.HOST), project / "functions" / "greet"
    (greet / "__pycache__").mkdir()
    (greet / "__pycache__" / "handler.cpython-313.pyc").write_bytes(b"anything")
    with monkeypatch.context() as patch:
        patch.setattr("subprocess.run", lambda *_, **__: pytest.fail("built again"))
        assert build.function("greet", build.HOST) == build.function("greet", build.AWS) == first
    (greet / "handler.py").write_text("handler = repr\n")
    second = build.function("greet", build.HOST)
    assert second.digest != first.digest
    assert (second.folder / "handler.py").read_text() == "handler = repr\n"


def test_an_interrupted_build_leaves_nothing_behind(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("subprocess.run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build.function("greet", build.HOST)
    assert list(build.BUILDS.iterdir()) == []
    assert build.function("greet", build.HOST).folder.is_dir()


def test_a_wheel_that_the_lock_does_not_know_is_not_installed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "functions" / "greet" / "requirements.txt").write_text("six==1.17.0\n")
    monkeypatch.setattr(build, "LOCK", project / "requirements.lock")
    for lock in ("six==1.17.0\n", f"six==1.17.0 --hash=sha256:{'0' * 64}\n"):
        build.LOCK.write_text(lock)
        with pytest.raises(subprocess.CalledProcessError):
            build.function("greet", build.HOST)
    assert list(build.BUILDS.iterdir()) == []


def _known(file: Path) -> set[str]:
    """The authorities that OpenSSL reads from a file of the layer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    subjects: list[Any] = [root["subject"] for root in context.get_ca_certs()]
    return {value for subject in subjects for part in subject for name, value in part if name == "commonName"}


AMAZONS = {*(f"Amazon Root CA {n}" for n in (1, 2, 3, 4)), "Starfield Services Root Certificate Authority - G2"}


def test_the_layer_knows_who_certifies_rds_its_proxy_and_other_hosts(
    aws: Synthesized, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = aws.layers["after_hours"] / "python"
    folder = layer / "after_hours" / "foundation" / connecting._ROOT_CERTIFICATES.name
    monkeypatch.setattr(connecting, "_ROOT_CERTIFICATES", folder)
    for region in ("eu-west-1", "ap-southeast-4"):
        cluster = _known(connecting._authorities(f"vlvt.cluster-c1a2b3.{region}.rds.amazonaws.com"))
        assert cluster == {f"Amazon RDS {region} Root CA {kind} G1" for kind in ("RSA2048", "RSA4096", "ECC384")}
    proxy = connecting._authorities("vlvt.proxy-c1a2b3.eu-west-1.rds.amazonaws.com")
    assert _known(proxy) == AMAZONS
    public = connecting._authorities("db.example.com")
    assert {"ISRG Root X1", *AMAZONS} <= _known(public)
    assert (layer / "botocore" / public.name).read_bytes() == public.read_bytes()


def test_each_file_of_authorities_is_the_one_that_was_reviewed() -> None:
    folder = connecting._ROOT_CERTIFICATES
    files = sorted(folder.glob("*.pem"))
    lines = [f"{sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files]
    assert (folder / "SHA256SUMS").read_text().splitlines() == lines
