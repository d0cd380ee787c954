"""The deployed stack as a fixture: the same code as `make run`, in a place of its own beside any running one."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from local import aws, members
from local.place import DEFAULT_PLACE, Place
from local.processes import Processes
from local.progress import Tell, clock
from local.run import running_system
from local.stack import Answer, Stack
from tests.places import processes_of


@dataclass(frozen=True)
class Caller:
    """A member with a token, who calls the API."""

    id: str
    token: str
    stack: Stack

    def call(self, method: str, path: str, body: object = None, **how: Any) -> Answer:
        return self.stack.call(method, path, token=self.token, body=body, **how)


type NewMember = Callable[..., Caller]


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


@contextmanager
def connected(stack: Stack) -> Iterator[Connection]:
    with closing(stack.connect()) as connection:
        connection.autocommit = True
        yield connection


@contextmanager
def new_members(stack: Stack, connection: Connection) -> Iterator[NewMember]:
    made = []

    def new(**changes: Any) -> Caller:
        member = replace(members.SEEDED["entitled"], id=f"test-{uuid4()}", **changes)
        members.save(connection, member)
        made.append(member)
        return Caller(member.id, stack.token(member.id), stack)

    yield new
    for member in made:
        members.remove(connection, member)
