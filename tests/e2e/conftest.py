"""One system for all tests here, beside any other that runs."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tests.support import browsers
from tests.support.deployed import NewMember, connected, new_members
from tests.support.page import Opener
from tests.support.system import Command, System, system_elsewhere
from tests.support.waiting import LIMIT_SECONDS
from tools.local import aws
from tools.local.stack import Stack
from tools.local.workspace import Workspace


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    aws.keep_to_this_machine()
    with system_elsewhere(tmp_path_factory.mktemp("elsewhere")) as system:
        yield system


@pytest.fixture(scope="session")
def workspace(system: System) -> Workspace:
    return system.workspace


@pytest.fixture(scope="session")
def stack(workspace: Workspace) -> Stack:
    return Stack.load(workspace)


@pytest.fixture(scope="session")
def command(system: System) -> Command:
    """Run one of the tools where the system was started: `command("invoke", "start_session")`."""

    def run(tool: str, *arguments: str, text: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "tools.local", tool, *arguments]
        environment = {**settings, "PATH": os.defpath} if settings else None
        return subprocess.run(
            line, cwd=system.repository, capture_output=True, text=True, check=False, env=environment, input=text
        )

    return run


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection]:
    with connected(stack) as connection:
        yield connection


@pytest.fixture
def new_member(stack: Stack, connection: Connection) -> Iterator[NewMember]:
    """Make members, entitled unless the test says otherwise: `new_member(subscribed=False)`. Gone afterwards."""
    with new_members(stack, connection) as new:
        yield new


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Skips the test where there is no browser."""
    executable = browsers.executable_or_skip()
    # Where the sweep ends a session before its schedule does, the schedule fires up to five minutes later.
    expect.set_options(timeout=(LIMIT_SECONDS + 120) * 1000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=executable, args=["--disable-gpu"])


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[Opener]:
    """Open the page. A fault in its scripts fails the test."""
    opener = Opener(browser, stack)
    yield opener
    for context in browser.contexts:
        context.close()
    assert opener.faults == []


@pytest.fixture
def page(open_page: Opener, new_member: NewMember) -> Page:
    """The page, with a new member chosen who has no profile yet."""
    return open_page(member=new_member(name="Robin", age=27, gender="Female").id)
