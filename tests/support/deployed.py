"""Members of a deployed system, who call its API over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import boto3
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tools.local import members
from tools.local.stack import Answer, Stack


@dataclass(frozen=True)
class Caller:
    """A member with a token, who calls the API."""

    id: str
    token: str
    stack: Stack

    def call(self, method: str, path: str, body: object = None, **how: Any) -> Answer:
        return self.stack.call(method, path, token=self.token, body=body, **how)


type NewMember = Callable[..., Caller]


@contextmanager
def connected(stack: Stack) -> Iterator[Connection]:
    with closing(stack.connect()) as connection:
        connection.autocommit = True
        yield connection


@contextmanager
def new_members(stack: Stack, connection: Connection) -> Iterator[NewMember]:
    """Make members, fully entitled if nothing else is said: `new_member(subscribed=False)`. Gone afterwards."""
    made = []

    def new(**changes: Any) -> Caller:
        member = replace(members.SEEDED["entitled"], id=f"test-{uuid4()}", **changes)
        members.save(connection, member)
        made.append(member)
        return Caller(member.id, stack.token(member.id), stack)

    yield new
    for member in made:
        members.remove(connection, member)


def refused(stack: Stack) -> set[str]:
    """Return the functions that AWS has refused something for want of a right, as their logs say."""
    logs = boto3.client("logs", **stack.aws)
    found = set()
    for name, deployed in stack.functions.items():
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{deployed}")
        if any("AccessDenied" in event["message"] for page in pages for event in page["events"]):
            found.add(name)
    return found
