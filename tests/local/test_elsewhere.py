"""`make run` from a folder with a space in its name, behind proxies, without git, not as root: with edits, too."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

import pytest

from infra import build
from local.ports import Ports
from local.processes import Processes
from local.stack import Stack
from local.workspace import Workspace
from tests.support.scratch import copy_repository
from tests.support.waiting import until
from tests.support.workspaces import processes_of

NOBODY_LISTENS = "http://127.0.0.1:9"
START = {"duration": 45, "latitude": 52.5200081, "longitude": 13.4049541}
# What a quiet machine needs is told by README; a test machine does a dozen things at once.
EDIT_SECONDS = 60


@dataclass
class Elsewhere:
    """A running system that was started in a copy of the repository."""

    repository: Path
    run: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.repository / ".local")

    def shell(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", line], cwd=self.repository, capture_output=True, text=True, check=False, env=environment(),
        )  # fmt: skip


def environment() -> dict[str, str]:
    """One with proxies that lead nowhere and no exception for this machine."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    proxies = {spelling: NOBODY_LISTENS for name in names for spelling in (name, name.lower())}
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    return kept | proxies


def build_what_is_downloaded() -> None:
    """Behind proxies that lead nowhere nothing can be: the copy finds these builds as a second `make run` would."""
    for layer in ("after_hours", "imaging"):
        build.layer(layer, build.HOST)
    build.function("migrate_database", build.HOST)


@pytest.fixture(scope="module")
def elsewhere(as_user: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    build_what_is_downloaded()
    without_git = tmp_path_factory.mktemp("bin")
    for path in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in path.iterdir() if path.is_dir() else ():
            if not program.name.startswith("git") and not (without_git / program.name).exists():
                (without_git / program.name).symlink_to(program)
    with TemporaryDirectory(prefix="after hours ") as folder:
        repository = Path(folder).resolve() / "the repository"
        repository.mkdir()
        copy_repository(repository)
        command = [*as_user, ".venv/bin/python", "-m", "local.run", "--port", str(Ports.free().api)]
        with subprocess.Popen(
            command, cwd=repository, env=environment() | {"PATH": str(without_git)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as run:  # fmt: skip
            system = Elsewhere(repository, run)
            reader = threading.Thread(target=lambda: system.said.extend(run.stdout or ()), daemon=True)
            reader.start()
            until(lambda: any("is running at" in line for line in system.said) or run.poll() is not None)
            try:
                assert run.poll() is None, "".join(system.said)
                yield system
            finally:
                run.terminate()
                run.wait()
        until(lambda: not processes_of(system.workspace))


@pytest.mark.skipif(sys.platform != "linux", reason="what a process may do is read from /proc")
@pytest.mark.usefixtures("not_root")
def test_nothing_of_it_is_root(elsewhere: Elsewhere) -> None:
    processes = Processes(elsewhere.workspace)
    for name in ("postgresql", "ministack", "page"):
        status = Path(f"/proc/{processes.running(name).pid}/status").read_text()
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE), f"{name} has rights of root: {status}"


def test_the_printed_lines_work_there(elsewhere: Elsewhere) -> None:
    printed = [line.rstrip() for line in elsewhere.said]
    source = next(line for line in printed if line.startswith("cd "))
    assert source == f"cd {quote(str(elsewhere.repository))} && source .local/env"
    for titled in ("# Make an After Hours profile", "# Take a photo", "# Send it straight to S3", "# See what became"):
        line = printed[next(number for number, text in enumerate(printed) if text.startswith(titled)) + 1]
        done = elsewhere.shell(f"cd / && {source} && {line}")
        assert done.returncode == 0, done
        assert not done.stderr or "HTTP 20" in done.stderr
    assert "status: ready" in done.stdout


def test_a_rule_that_is_edited_is_another_rule_within_seconds(elsewhere: Elsewhere) -> None:
    stack = Stack.load(elsewhere.workspace)
    token = stack.users["other"].token
    stack.call("POST", "/profile", token=token, body={})
    assert stack.call("POST", "/session/start", token=token, body=START).status == 400

    rules = elsewhere.repository / "layers/after_hours/python/after_hours/sessions.py"
    rules.write_text(rules.read_text().replace("ALLOWED_MINUTES = (15, 30, 60)", "ALLOWED_MINUTES = (15, 30, 45, 60)"))
    began = time.monotonic()
    until(lambda: stack.call("POST", "/session/start", token=token, body=START).status == 201)
    seconds = time.monotonic() - began
    until(lambda: any("sessions.py: renewed" in line and "start_session" in line for line in elsewhere.said))
    assert seconds < EDIT_SECONDS, "".join(elsewhere.said[-5:])


def test_an_edit_that_does_not_compile_changes_nothing(elsewhere: Elsewhere) -> None:
    stack = Stack.load(elsewhere.workspace)
    handler = elsewhere.repository / "functions/get_session/handler.py"
    right = handler.read_text()
    handler.write_text("def handler(:")
    until(lambda: any("get_session/handler.py: not built" in line for line in elsewhere.said))
    assert stack.call("GET", "/session", token=stack.users["entitled"].token).status == 200
    handler.write_text(right.replace("active=", "seen=1, active="))
    until(lambda: "seen" in stack.call("GET", "/session", token=stack.users["entitled"].token).body)


def test_a_second_run_beside_it_is_refused_in_one_sentence(elsewhere: Elsewhere) -> None:
    for arguments in ([], ["--workspace", str(elsewhere.workspace.root)]):
        port = ["--port", Stack.load(elsewhere.workspace).aws_endpoint_url.rpartition(":")[2]]
        with TemporaryDirectory() as other:
            where = arguments or ["--workspace", other]
            second = subprocess.run(
                [sys.executable, "-m", "local.run", *port, *where], cwd=elsewhere.repository, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
        assert (second.returncode, second.stdout) == (1, "")
        assert len(second.stderr.splitlines()) == 1
        assert ("is already running" if arguments else "is taken by") in second.stderr
