"""The deployed stack as a fixture: the same code as `make run`, in a workspace of its own beside any running one."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tests.support.deployed import NewMember, connected, new_members
from tests.support.page import MakeRobin, Opener, launched, opener, robins
from tests.support.waiting import until
from tests.support.workspaces import processes_of
from tools.local import aws
from tools.local.ports import Ports
from tools.local.processes import Processes
from tools.local.progress import Progress, clock
from tools.local.run import running_system
from tools.local.stack import Stack
from tools.local.workspace import DEFAULT_WORKSPACE, Workspace


@pytest.fixture(scope="session")
def progress(pytestconfig: pytest.Config) -> Progress:
    """Progress on the terminal, past pytest's capture: a deployment takes a while."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    print_in_time = clock()

    def progress(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print_in_time(text)

    return progress


@pytest.fixture(scope="session")
def workspace() -> Workspace:
    return Workspace(DEFAULT_WORKSPACE.root / "test")


@pytest.fixture(scope="session")
def stack(workspace: Workspace, progress: Progress) -> Iterator[Stack]:
    """A whole system on an empty database; at the end nothing of it may be left running."""
    aws.keep_to_this_machine()
    with workspace.occupied():
        Processes(workspace).end_all()
        shutil.rmtree(workspace.postgres, ignore_errors=True)
        shutil.rmtree(workspace.logs, ignore_errors=True)
    with running_system(workspace, Ports.free(), progress) as system:
        yield system
    until(lambda: not processes_of(workspace))  # what is deleted is deleted by a process of its own


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection]:
    with connected(stack) as connection:
        yield connection


@pytest.fixture
def new_member(stack: Stack, connection: Connection) -> Iterator[NewMember]:
    """Make members, fully entitled if nothing else is said: `new_member(subscribed=False)`. Gone afterwards."""
    with new_members(stack, connection) as new:
        yield new


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = launched(playwright)
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[Opener]:
    """Open the page, or another file of it. What goes wrong in its scripts fails the test."""
    with opener(browser, stack) as opening:
        yield opening


@pytest.fixture
def robin(stack: Stack) -> Iterator[MakeRobin]:
    with robins(stack) as make:
        yield make


@pytest.fixture
def page(open_page: Opener, robin: MakeRobin) -> Page:
    """The page, with a new member chosen."""
    page = open_page()
    robin(page)
    return page
