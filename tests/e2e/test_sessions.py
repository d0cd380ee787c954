"""Sessions over HTTP, on the deployed stack: one start of fifty, extensions that add up, ends that come alone."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from infra.endpoints import ENDPOINTS
from tests.support.deployed import Caller, NewMember, connected, new_members
from tests.support.waiting import until
from tools.local.schedules import find, move
from tools.local.stack import Answer, Stack
from tools.local.workspace import Workspace

START = {"duration": 15, "latitude": 52.5200081, "longitude": 13.4049541}


@pytest.fixture
def member(new_member: NewMember) -> Caller:
    return with_profile(new_member)


def with_profile(new_member: NewMember) -> Caller:
    caller = new_member()
    assert caller.call("POST", "/profile", {"description": "a text for one night"}).status == 201
    return caller


@pytest.fixture(scope="module", autouse=True)
def forgotten(stack: Stack) -> Iterator[str]:
    """The id of a session that is over and has no schedule: made first, so that the sweep's minute passes meanwhile."""
    with connected(stack) as connection, new_members(stack, connection) as new_member:
        session_id: str = with_profile(new_member).call("POST", "/session/start", START).body["session"]["id"]
        client = boto3.client("scheduler", **stack.aws)
        for name in schedules(stack, session_id):
            client.delete_schedule(GroupName=stack.schedule_group, Name=name)
        one(connection, "UPDATE after_hours_sessions SET expires_at = now() WHERE id = %s", session_id)
        yield session_id


def one(connection: Connection, statement: str, *parameters: object) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone() if cursor.description else None


def schedules(stack: Stack, session_id: str) -> set[str]:
    client = boto3.client("scheduler", **stack.aws)
    names = [schedule["Name"] for schedule in client.list_schedules(GroupName=stack.schedule_group)["Schedules"]]
    return {name for name in names if session_id in name}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.function)
def test_no_deployed_route_answers_without_a_token(stack: Stack, endpoint: Any) -> None:
    answer = stack.call(endpoint.method, endpoint.path)
    assert (answer.status, answer.body["code"]) == (401, "UNAUTHORIZED")


def all_at_once(pool: ThreadPoolExecutor, member: Caller, path: str, body: object, times: int) -> list[Answer]:
    return list(pool.map(lambda _: member.call("POST", path, body), range(times)))


@contextmanager
def warm(member: Caller, path: str) -> Iterator[ThreadPoolExecutor]:
    """Threads that each find a worker warm: its modules loaded, its secrets read, its connection open.

    A dozen, for each costs a start of Python and the memory of one. Races of fifty are held by tests/integration.
    """
    with ThreadPoolExecutor(12) as pool:
        until(lambda: {answer.status for answer in all_at_once(pool, member, path, {}, 12)} == {400})
        yield pool


def test_of_fifty_starts_from_a_dozen_phones_at_once_one_makes_a_session(member: Caller) -> None:
    with warm(member, "/session/start") as pool:
        answers = all_at_once(pool, member, "/session/start", START, 50)
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 49}
    assert len({answer.body["session"]["id"] for answer in answers}) == 1
    assert {answer.body["code"] for answer in answers if answer.status == 409} == {"SESSION_ALREADY_ACTIVE"}


def test_twenty_parallel_extensions_of_15_minutes_add_exactly_300(member: Caller) -> None:
    before = member.call("POST", "/session/start", START).body["session"]
    with warm(member, "/session/extend") as pool:
        answers = all_at_once(pool, member, "/session/extend", {"additionalMinutes": 15}, 20)
    assert {answer.status for answer in answers} == {200}
    after = member.call("GET", "/session").body["session"]
    assert datetime.fromisoformat(after["expiresAt"]) - datetime.fromisoformat(before["expiresAt"]) == timedelta(
        minutes=300
    )


def outcome_of_expiry(stack: Stack, session_id: str) -> str | None:
    """What expire_session logged of this session's end."""
    logs = boto3.client("logs", **stack.aws)
    group = f"/aws/lambda/{stack.functions['expire_session']}"
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            if session_id in event["message"] and '"expiry"' in event["message"]:
                outcome: str = json.loads(event["message"])["outcome"]["outcome"]
                return outcome
    return None


def test_the_schedule_ends_a_session_and_deletes_itself(member: Caller, stack: Stack, connection: Connection) -> None:
    for _ in range(3):  # the sweep may be there first; it is not there first three times
        if ended_by_its_schedule(member, stack, connection) == "expired":
            return
    pytest.fail("no session was ended by its schedule")


def ended_by_its_schedule(member: Caller, stack: Stack, connection: Connection) -> str | None:
    session = member.call("POST", "/session/start", START).body["session"]
    assert schedules(stack, session["id"]) == {f"expire-{session['id']}", f"warn-{session['id']}"}
    one(connection, "UPDATE after_hours_sessions SET expires_at = now() + interval '2 s' WHERE id = %s", session["id"])
    client = boto3.client("scheduler", **stack.aws)
    schedule = find(client, stack.schedule_group, f"expire-{session['id']}")
    assert schedule
    move(client, schedule, datetime.now(UTC) + timedelta(seconds=3))
    ended = "SELECT ended_at = expires_at, latitude, longitude, fuzzed_latitude FROM after_hours_sessions WHERE id = %s"
    until(lambda: one(connection, ended, session["id"])[0] is not None)
    assert one(connection, ended, session["id"]) == (True, None, None, None)
    until(lambda: f"expire-{session['id']}" not in schedules(stack, session["id"]))
    return until(lambda: outcome_of_expiry(stack, session["id"]))  # written when the function is through


def test_odd_bodies_pass_through_the_gateway_as_400(member: Caller) -> None:
    for raw_body in (b"\xff\xfe", b"", b"[]", b'{"duration": NaN}', b"[" * 10_000, b'{"duration": "30"}'):
        answer = member.call("POST", "/session/start", raw_body=raw_body)
        assert (answer.status, answer.body["code"]) == (400, "VALIDATION_ERROR")


def test_no_log_of_functions_or_database_holds_a_secret(member: Caller, stack: Stack, workspace: Workspace) -> None:
    member.call("PATCH", "/profile", {"description": "a text for one night"})
    member.call("POST", "/session/start", START | {"deviceFingerprint": {"deviceId": "device-4711"}})
    member.call("POST", "/session/start", START | {"duration": "15"})
    member.call("POST", "/session/end")
    logs = boto3.client("logs", **stack.aws)
    written = "".join(
        event["message"]
        for name in stack.functions.values()
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
        for event in page["events"]
    )
    assert member.id in written
    written += (workspace.logs / "postgresql.log").read_text()
    for secret in (member.token, "52.52", "13.40", "a text for one night", "device-4711", stack.jwt_secret):
        assert secret not in written


def test_the_sweep_ends_what_the_scheduler_forgot(forgotten: str, connection: Connection) -> None:
    ended = "SELECT ended_at = expires_at FROM after_hours_sessions WHERE id = %s"
    until(lambda: one(connection, ended, forgotten)[0] is True)
