"""The sample events on the deployed functions: each does what its name says, and to nobody but their own member."""

import json
import subprocess
import sys

import pytest

from tests.support.deployed import NewMember
from tools.local.events import every_sample, played
from tools.local.samples import Sample
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace


@pytest.mark.parametrize("sample", every_sample(), ids=str)
def test_a_sample_does_what_its_name_says(stack: Stack, sample: Sample) -> None:
    outcome = played(stack, sample)
    assert outcome.is_as(sample.expected), f"{outcome}\n{outcome.log}"


def command(workspace: Workspace, *arguments: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", *arguments, "--workspace", str(workspace.root)]
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_invoke_says_what_was_expected_and_fails_when_it_is_not_so(stack: Stack, workspace: Workspace) -> None:
    done = command(workspace, "tools.local.invoke", "start_session", "null_island")
    assert done.returncode == 0
    assert "Expected: 400 VALIDATION_ERROR\nOutcome:  400 VALIDATION_ERROR\n" in done.stdout
    done = command(workspace, "tools.local.invoke", "start_session", "--json")
    assert json.loads(done.stdout)["result"]["statusCode"] == 201


def test_invoke_touches_nobody_else(stack: Stack, workspace: Workspace, new_member: NewMember) -> None:
    other = stack.users["entitled"]
    assert stack.call("POST", "/profile", token=other.token, body={}).status == 201
    assert command(workspace, "tools.local.invoke", "delete_profile", "nothing_to_leave").returncode == 0
    assert stack.call("DELETE", "/profile", token=other.token).status == 204


def test_a_list_names_every_sample() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "tools.local.events"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [line.split()[0] for line in listed] == [str(sample) for sample in every_sample()]
