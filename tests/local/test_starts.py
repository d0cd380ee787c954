"""A `make run` that is interrupted or killed leaves nothing behind that the next one, or `make stop`, does not end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.scratch import LINKED
from tests.support.waiting import until
from tests.support.workspaces import processes_of, temporary_workspace
from tools.local.ports import Ports
from tools.local.processes import Processes
from tools.local.workspace import REPOSITORY, CommandError, Workspace


def stop(workspace: Workspace) -> str:
    line = [sys.executable, "-m", "tools.local", "stop", "--workspace", str(workspace.root)]
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


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
                os.kill(holder, signal.SIGKILL)


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
    assert stop(elsewhere).startswith("Ended what an earlier run left behind: ")
    assert stop(elsewhere) == "Nothing is running here.\n"


def test_a_kill_of_make_ends_the_system_and_an_impatient_second_one_does_not_cut_that_short(
    elsewhere: Workspace,
) -> None:
    """Scripts that start `make run` in the background know the id of make alone."""
    with starting(elsewhere, Ports.free().api) as make:
        make.terminate()
        assert make.stdout
        assert any("stopping…" in line for line in make.stdout)
        if holder := elsewhere.holder():
            os.kill(holder, signal.SIGHUP)
        until(lambda: not processes_of(elsewhere))
    assert not elsewhere.stack_file.exists()
    assert list(elsewhere.temporary.iterdir()) == []
