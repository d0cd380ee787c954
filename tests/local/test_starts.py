"""A `make run` that is interrupted or killed leaves nothing behind that the next one does not end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.support.scratch import LINKED
from tests.support.waiting import until
from tests.support.workspaces import processes_of, temporary_workspace
from tools.local.ports import Ports
from tools.local.workspace import REPOSITORY, Phase, Workspace


@pytest.fixture
def elsewhere() -> Iterator[Workspace]:
    with temporary_workspace() as workspace:
        yield workspace


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_start_leaves_no_process(elsewhere: Workspace, number: signal.Signals) -> None:
    with _starting(elsewhere) as run:
        until(lambda: "cdk-synth" in _names(elsewhere))
        run.send_signal(number)
        run.send_signal(number)  # an impatient second one must not cut the cleaning short
        assert run.wait() == 0
    until(lambda: not processes_of(elsewhere))
    assert not elsewhere.stack_file.exists()
    assert list(elsewhere.temporary.iterdir()) == []


def test_start_after_a_crash_ends_what_was_left_behind(elsewhere: Workspace) -> None:
    with _starting(elsewhere) as run:
        until(lambda: "ministack" in _names(elsewhere))
        run.kill()
        run.wait()
    left_behind = set(processes_of(elsewhere))
    assert left_behind
    with _starting(elsewhere) as run:
        said = _said_until(run, "synthesizing")
        until(lambda: left_behind.isdisjoint(processes_of(elsewhere)))
        run.send_signal(signal.SIGINT)
        run.communicate()
    assert "ended what an earlier run left behind: " in said
    until(lambda: not processes_of(elsewhere))


def test_make_stop_ends_what_a_crash_left_behind(elsewhere: Workspace) -> None:
    with _starting(elsewhere) as run:
        until(lambda: "ministack" in _names(elsewhere))
        run.kill()
        run.wait()
    assert processes_of(elsewhere)
    assert "left behind: " in _stopped(elsewhere)
    until(lambda: not processes_of(elsewhere))
    assert _stopped(elsewhere) == "Nothing is running here.\n"


def test_a_kill_of_make_itself_ends_the_system(elsewhere: Workspace) -> None:
    """As scripts do that started `make run` in the background, and know the id of make alone."""
    installed = [word for name in LINKED for word in ("-o", f"{name}/.ready")]
    python = f"RUN={sys.executable} -m"
    named = f'PORT={Ports.free().api}" --workspace "{elsewhere.root}'
    with subprocess.Popen(["make", *installed, "run", python, named], cwd=REPOSITORY) as make:
        until(lambda: "ministack" in _names(elsewhere))
        make.terminate()
    until(lambda: not processes_of(elsewhere))


def test_reused_pid_is_not_ours(elsewhere: Workspace) -> None:
    """After a reboot the recorded pid may be anybody's."""
    bystander = {"name": "ministack", "pid": os.getpid(), "birth": 1.0, "stop_signal": signal.SIGKILL}
    elsewhere.processes_file.write_text(json.dumps([bystander]))
    with _starting(elsewhere) as run:
        said = _said_until(run, "synthesizing")
        run.send_signal(signal.SIGINT)
        run.communicate()
    assert "left behind" not in said


def test_nothing_runs_and_it_says_so(tmp_path: Path) -> None:
    for module in ("tools.local.demo", "tools.local.invoke"):
        arguments = ["start_session"] if module == "tools.local.invoke" else []
        answer = subprocess.run(
            [sys.executable, "-m", module, "--workspace", tmp_path, *arguments], cwd=REPOSITORY, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 1
        assert "make run" in answer.stderr


@pytest.mark.parametrize("module", ["tools.local.run", "tools.local.reset", "tools.local.stop"])
def test_what_another_user_has_run_is_said_to_be_theirs(tmp_path: Path, not_root: list[str], module: str) -> None:
    """As after a run of root's."""
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o500)
    answer = subprocess.run(
        [*not_root, sys.executable, "-m", module, "--workspace", theirs], cwd=REPOSITORY, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == f"{theirs} is another user's: remove it, or be that user.\n"


@pytest.mark.parametrize(
    ("phase", "sentence"),
    [(Phase.STARTING, "not up yet"), (Phase.STOPPING, "is stopping"), (None, "No system is running")],
)
def test_what_is_said_while_it_starts_and_stops(tmp_path: Path, phase: Phase | None, sentence: str) -> None:
    workspace = Workspace(tmp_path)
    with workspace.occupied() if phase else nullcontext():
        if phase:
            workspace.note(phase)
        answer = subprocess.run(
            [sys.executable, "-m", "tools.local.invoke", "--workspace", tmp_path, "start_session"],
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert sentence in answer.stderr


def test_make_stop_ends_a_system_as_an_interruption_does(elsewhere: Workspace) -> None:
    with _starting(elsewhere) as run:
        until(lambda: "cdk-synth" in _names(elsewhere))
        assert _stopped(elsewhere) == "Stopped.\n"
        assert run.wait() == 0
        assert _stopped(elsewhere) == "Nothing is running here.\n"
    until(lambda: not processes_of(elsewhere))


def test_stopping_does_not_wait_until_everything_is_deleted(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    big = workspace.temporary / "worker"
    big.mkdir(parents=True)
    for number in range(2000):
        (big / str(number)).touch()
    workspace.empty(workspace.temporary)
    assert list(workspace.temporary.iterdir()) == []
    until(lambda: not list(tmp_path.glob("deleted-*")))


def _stopped(workspace: Workspace) -> str:
    """What `make stop` says."""
    stop = [sys.executable, "-m", "tools.local.stop", "--workspace", str(workspace.root)]
    return subprocess.run(stop, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


@contextmanager
def _starting(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """A `make run` in a workspace of its own, surely gone at the end."""
    first = str(Ports.free().api)
    command = [sys.executable, "-m", "tools.local.run", "--workspace", str(workspace.root), "--port", first]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as run:
        try:
            yield run
        finally:
            if run.poll() is None:
                run.terminate()
                run.wait()


def _said_until(run: subprocess.Popen[str], text: str) -> str:
    """Read what it says up to the line with this text; fails when it ends without a word of it."""
    assert run.stdout
    said = ""
    for line in run.stdout:
        said += line
        if text in line:
            return said
    return pytest.fail(f"ended without {text!r}: {said}")


def _names(workspace: Workspace) -> set[str]:
    try:
        return {entry["name"] for entry in json.loads(workspace.processes_file.read_text())}
    except FileNotFoundError:
        return set()
