"""A `make run` that is interrupted or killed leaves nothing behind that the next one, or `make stop`, does not end."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.scratch import LINKED
from tests.support.users import as_user, is_root
from tests.support.waiting import until
from tests.support.workspaces import processes_of, temporary_workspace
from tools.local.ports import Ports
from tools.local.processes import Processes
from tools.local.workspace import REPOSITORY, CommandError, Phase, Workspace


def tool(workspace: Path, name: str, *arguments: str, user: list[str] | None = None) -> tuple[int, str, str]:
    line = [*(user or []), sys.executable, "-m", "tools.local", name, "--workspace", str(workspace), *arguments]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def elsewhere() -> Iterator[Workspace]:
    with temporary_workspace() as workspace:
        yield workspace
        try:
            until(lambda: not processes_of(workspace))
        finally:
            Processes(workspace).end_all()


@contextmanager
def starting(workspace: Workspace, port: int) -> Iterator["subprocess.Popen[str]"]:
    """A `make run` that has started the local AWS; surely gone at the end."""

    def has_started() -> bool:
        try:
            return bool(Processes(workspace).running("ministack"))
        except CommandError:
            return run.poll() is not None

    installed = [word for name in LINKED for word in ("-o", f"{name}/.ready")]
    named = f'PORT={port}" --workspace "{workspace.root}'
    command = ["make", *installed, "run", f"RUN={sys.executable} -m", named]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as run:
        try:
            until(has_started)
            yield run
        finally:
            if holder := workspace.holder():
                os.kill(holder.pid, signal.SIGKILL)


def test_a_crash_leaves_what_the_next_start_ends_or_make_stop(elsewhere: Workspace) -> None:
    port = Ports.free().api
    with starting(elsewhere, port):
        pass
    left_behind = set(processes_of(elsewhere))
    assert left_behind
    with starting(elsewhere, port) as second:
        assert second.stdout
        assert any("ended what an earlier run left behind: ministack, postgresql\n" in line for line in second.stdout)
        assert left_behind.isdisjoint(processes_of(elsewhere))
    assert tool(elsewhere.root, "stop")[1].startswith("Ended what an earlier run left behind: ")
    assert tool(elsewhere.root, "stop")[1] == "Nothing is running here.\n"


def test_a_kill_of_make_ends_the_system_and_an_impatient_second_one_does_not_cut_that_short(
    elsewhere: Workspace,
) -> None:
    """Scripts that start `make run` in the background know the id of make alone."""
    with starting(elsewhere, Ports.free().api) as make:
        running = elsewhere.holder()
        assert running
        make.terminate()
        until(lambda: elsewhere.holder() != running)
        if elsewhere.holder():
            os.kill(running.pid, signal.SIGHUP)
        until(lambda: not processes_of(elsewhere))
    assert not elsewhere.stack_file.exists()
    assert list(elsewhere.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("phase", "sentence"),
    [
        (Phase.STARTING, "The system is not up yet. Try again when `make run` says it is ready."),
        (Phase.STOPPING, "The system is stopping. Start it again with: make run"),
    ],
)
def test_what_tools_say_while_nothing_is_ready(tmp_path: Path, phase: Phase, sentence: str) -> None:
    workspace = Workspace(tmp_path)
    assert tool(tmp_path, "reset") == (0, "The database is gone; the next `make run` makes a new one.\n", "")
    assert tool(tmp_path, "demo") == (1, "", "No system is running here. Start one with: make run\n")
    with workspace.occupied():
        workspace.note(phase)
        assert tool(tmp_path, "reset") == (1, "", f"{sentence}\n")


@pytest.mark.skipif(is_root() and not as_user(), reason="this machine lets root make no user namespace")
@pytest.mark.parametrize("name", ["run", "reset", "stop"])
def test_a_system_of_another_user_is_said_to_be_theirs(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o500)
    theirs = f"{tmp_path} is another user's: remove it, or be that user.\n"
    assert tool(tmp_path, name, user=as_user()) == (1, "", theirs)


def test_a_port_that_is_taken_is_named_with_its_process_before_anything_starts(tmp_path: Path) -> None:
    port = Ports.free().page
    with socket.create_server(("127.0.0.1", port)):
        code, _, refused = tool(tmp_path, "run", "--port", str(port - 2))
    assert (code, len(refused.splitlines())) == (1, 1)
    assert re.match(rf"Port {port} is taken by \S+ \(process {os.getpid()}\)\. .*: make run PORT=", refused)
    assert not (tmp_path / "postgres").exists()
