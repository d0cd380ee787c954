"""`make run` in a folder with a space in its name, behind proxies, without git, not as root, HOME read-only; edited."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

import boto3
import pytest

from infra import build
from tests.support.scratch import LINKED, copy_repository
from tests.support.waiting import until
from tests.support.workspaces import processes_of
from tools.local.ports import Ports
from tools.local.processes import Processes
from tools.local.stack import Stack
from tools.local.workspace import Workspace

NOBODY_LISTENS = "http://127.0.0.1:9"
START = {"duration": 45, "latitude": 52.5200081, "longitude": 13.4049541}


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
            ["sh", "-c", line], cwd=self.repository, capture_output=True, text=True, check=False, env=environment(),
        )  # fmt: skip


def has_said(system: Elsewhere, *words: str) -> None:
    until(lambda: any(all(word in line for word in words) for line in system.said) or system.run.poll() is not None)
    assert system.run.poll() is None, "".join(system.said)


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
    read_only = tmp_path_factory.mktemp("home")
    read_only.chmod(0o555)
    with TemporaryDirectory(prefix="after hours ") as folder:
        repository = Path(folder).resolve() / "the repository"
        repository.mkdir()
        copy_repository(repository)
        installed = [word for name in LINKED for word in ("-o", f"{name}/.ready")]
        command = [*as_user, "make", *installed, "run", f"PORT={Ports.free().api}"]
        with subprocess.Popen(
            command, cwd=repository, env=environment() | {"PATH": str(without_git), "HOME": str(read_only)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as run:  # fmt: skip
            system = Elsewhere(repository, run)
            reader = threading.Thread(target=lambda: system.said.extend(run.stdout or ()), daemon=True)
            reader.start()
            try:
                for step in ("synthesizing", "deploying", "is running at"):
                    has_said(system, step)
                yield system
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGINT)  # as Ctrl-C does
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
    assert source == f"cd {quote(str(elsewhere.repository))} && . .local/env"
    for titled in ("# Make an After Hours profile", "# Take a photo", "# Send it straight to S3", "# See what became"):
        line = printed[next(number for number, text in enumerate(printed) if text.startswith(titled)) + 1]
        done = elsewhere.shell(f"cd / && {source} && {line}")
        assert done.returncode == 0, done
        assert not done.stderr or "HTTP 20" in done.stderr
    assert "status: ready" in done.stdout


def test_a_rule_that_is_edited_is_another_rule_while_it_runs(elsewhere: Elsewhere) -> None:
    stack = Stack.load(elsewhere.workspace)
    token = stack.users["other"].token
    stack.call("POST", "/profile", token=token, body={})
    assert stack.call("POST", "/session/start", token=token, body=START).status == 400

    rules = elsewhere.repository / "layers/after_hours/python/after_hours/members/sessions.py"
    rules.write_text(rules.read_text().replace("ALLOWED_MINUTES = (15, 30, 60)", "ALLOWED_MINUTES = (15, 30, 45, 60)"))
    until(lambda: stack.call("POST", "/session/start", token=token, body=START).status == 201)
    has_said(elsewhere, "sessions.py: renewed", "start_session")


@pytest.mark.parametrize("edit", ["def handler(:", "import nothing_by_this_name", "no_handler = 1"])
def test_an_edit_that_does_not_compile_or_import_changes_nothing(elsewhere: Elsewhere, edit: str) -> None:
    stack = Stack.load(elsewhere.workspace)
    handler = elsewhere.repository / "functions/get_profile/handler.py"
    right = handler.read_text()
    elsewhere.said.clear()
    handler.write_text(edit)
    has_said(elsewhere, "get_profile/handler.py: cannot be compiled or imported")
    assert stack.call("GET", "/profile", token=stack.users["entitled"].token).status < 500
    handler.write_text(right)


def test_a_rule_that_functions_cannot_import_changes_nothing(elsewhere: Elsewhere) -> None:
    stack = Stack.load(elsewhere.workspace)
    rules = elsewhere.repository / "layers/after_hours/python/after_hours/members/preferences.py"
    right = rules.read_text()
    rules.write_text(f"from after_hours.members.sessions import nothing_by_this_name\n{right}")
    has_said(elsewhere, "preferences.py: cannot be compiled or imported")
    assert stack.call("GET", "/preferences", token=stack.users["entitled"].token).status < 500
    rules.write_text(right)


def test_a_breakpoint_stops_the_debugger_and_no_call(elsewhere: Elsewhere) -> None:
    stack = Stack.load(elsewhere.workspace)
    handler = elsewhere.repository / "functions/get_session/handler.py"
    edited = handler.read_text().replace("    return {", '    breakpoint()\n    return {"seen": True, ')
    handler.write_text(edited)
    until(lambda: "seen" in stack.call("GET", "/session", token=stack.users["entitled"].token).body)
    stopped = elsewhere.shell("echo continue | .venv/bin/python -m tools.local.debug get_session")
    assert (stopped.returncode, "(Pdb)" in stopped.stdout) == (0, True), stopped


def test_what_only_a_deployment_can_change_is_said_to_wait_for_the_next_start(elsewhere: Elsewhere) -> None:
    for name in ("functions/get_access/handler.py", "infra/endpoints.py", "migrations/versions/9999_new.py"):
        file = elsewhere.repository / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(file.read_text() + "\n" if file.exists() else "")
        has_said(elsewhere, f"{name}: deployed at the next start (make stop, then make run)")
    shutil.copytree(elsewhere.repository / "events/get_session", elsewhere.repository / "events/get_access")
    for module in ("tools.local.invoke", "tools.local.debug"):
        refused = elsewhere.shell(f".venv/bin/python -m {module} get_access")
        assert refused.returncode == 1
        assert refused.stderr == "get_access is new here, and deployed at the next start (make stop, then make run).\n"


def test_an_answer_that_no_function_gave_is_explained_in_the_terminal(elsewhere: Elsewhere) -> None:
    stack = Stack.load(elsewhere.workspace)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("handler.py", "import nothing_by_this_name")
    boto3.client("lambda", **stack.aws).update_function_code(
        FunctionName=stack.functions["get_photo"], ZipFile=archive.getvalue()
    )
    assert stack.call("GET", "/profile/photo", token=stack.users["entitled"].token).status == 502
    has_said(elsewhere, "get_photo: [ERROR] ", "No module named 'nothing_by_this_name'")


def test_a_second_run_beside_it_is_refused_in_one_sentence(elsewhere: Elsewhere) -> None:
    for arguments in ([], ["--workspace", str(elsewhere.workspace.root)]):
        port = ["--port", Stack.load(elsewhere.workspace).aws_endpoint_url.rpartition(":")[2]]
        with TemporaryDirectory() as other:
            where = arguments or ["--workspace", other]
            second = subprocess.run(
                [sys.executable, "-m", "tools.local.run", *port, *where], cwd=elsewhere.repository, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
        assert (second.returncode, second.stdout) == (1, "")
        assert len(second.stderr.splitlines()) == 1
        assert ("is already running" if arguments else "is taken by") in second.stderr
