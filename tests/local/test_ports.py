"""Ports are fixed, and one that is taken is named before anything starts."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import until
from tests.support.workspaces import processes_of, temporary_workspace
from tools.local.ports import Ports
from tools.local.run import running_system
from tools.local.workspace import REPOSITORY, CommandError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def run(tmp_path: Path, port: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools.local.run", "--workspace", tmp_path, f"--port={port}"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_port_that_is_taken_is_named_with_who_has_it(tmp_path: Path, taken: int) -> None:
    said = run(tmp_path, str(taken))
    assert (said.returncode, said.stdout) == (1, "")
    assert f"Port {taken} (for the API) is taken by " in said.stderr
    assert f"(process {os.getpid()})" in said.stderr
    assert "make run PORT=" in said.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_port_that_is_taken_while_it_starts_is_named_too() -> None:
    """Two that start at once both find it free."""
    ports = Ports.free()
    with temporary_workspace() as workspace, socket.socket() as other:

        def starts_first(said: str) -> None:
            if said.startswith("starting PostgreSQL"):
                other.bind(("127.0.0.1", ports.postgres))

        with (
            pytest.raises(CommandError, match=rf"^Port {ports.postgres} \(for PostgreSQL\) is taken\..*$"),
            running_system(workspace, ports, starts_first),
        ):
            pass
        until(lambda: not processes_of(workspace))


@pytest.mark.parametrize("port", ["80", "65534", "-1", "1e4", "many"])
def test_a_port_that_cannot_be_is_refused_at_once(tmp_path: Path, port: str) -> None:
    said = run(tmp_path, port)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == f"PORT must be a number from 1024 to 65533; it is {port}.\n"


def test_a_port_that_is_free_again_is_not_taken() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # who closes first waits (RFC 9293, TIME-WAIT)
    Ports(port, port, port).require_free()


def test_free_ports_are_free() -> None:
    Ports.free().require_free()


def test_the_three_ports_are_in_a_row() -> None:
    assert Ports.from_first(4566) == Ports(4566, 4567, 4568)
    with pytest.raises(CommandError, match="65533"):
        Ports.from_first(65534)
