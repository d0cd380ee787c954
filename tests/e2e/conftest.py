"""The deployed stack as a fixture: the same code as `make run`, in a place of its own beside any running one."""

import shutil
from collections.abc import Iterator

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from local import aws
from local.place import DEFAULT_PLACE, Place
from local.processes import Processes
from local.progress import Tell, clock
from local.run import running_system
from local.stack import Stack
from tests.support.deployed import NewMember, connected, new_members
from tests.support.places import processes_of


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Tell:
    """Progress on the terminal, past pytest's capture: a deployment takes a while."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    print_in_time = clock()

    def tell(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print_in_time(text)

    return tell


@pytest.fixture(scope="session")
def place() -> Place:
    return Place(DEFAULT_PLACE.root / "test")


@pytest.fixture(scope="session")
def stack(place: Place, tell: Tell) -> Iterator[Stack]:
    """A whole system on an empty database; at the end nothing of it may be left running."""
    aws.forget_own_account()
    with place.occupied():
        Processes(place).end_all()
        shutil.rmtree(place.postgres, ignore_errors=True)
        shutil.rmtree(place.logs, ignore_errors=True)
    with running_system(place, tell) as system:
        yield system
    assert processes_of(place) == []


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection]:
    with connected(stack) as connection:
        yield connection


@pytest.fixture
def new_member(stack: Stack, connection: Connection) -> Iterator[NewMember]:
    """Make members, fully entitled if nothing else is said: `new_member(subscribed=False)`. Gone afterwards."""
    with new_members(stack, connection) as new:
        yield new
