"""When a member leaves, everything of the member is deleted, in time, whatever fails outside."""

import io
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from after_hours.foundation import calls, clients, secrets
from after_hours.foundation.faults import SecretsUnavailable
from after_hours.outbox import relay, schedules
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.retries.standard import ExponentialBackoff
from urllib3 import HTTPResponse

from tests.support.phone import Phone, Refused
from tests.support.waiting import until
from tests.support.world import World, schedules_of

DELETED = ("after_hours_profiles", "after_hours_preferences", "device_fingerprints")
HOST = "outside.test"
LIMITS = {name: getattr(clients, name) for name in ("SECRETS", "SCHEDULER", "EVENT_BUS", "STORES")}
FASTER = 2  # the clocks of these tests, than those in service
LIMIT_SECONDS = 20 / FASTER  # the function may run for 25

pytestmark = pytest.mark.usefixtures("empty_stores")


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Wait for AWS as long as in service, by a clock that goes faster."""
    for name, slow in LIMITS.items():
        fast = {"read_seconds": slow.read_seconds / FASTER, "connect_seconds": slow.connect_seconds / FASTER}
        patch.setattr(clients, name, replace(slow, **fast))
    for module, name in ((calls, "_SILENCE_SECONDS"), (relay, "_SECONDS_TO_BEGIN")):
        patch.setattr(module, name, getattr(module, name) / FASTER)
    pause = ExponentialBackoff.delay_amount
    patch.setattr(ExponentialBackoff, "delay_amount", lambda *arguments: pause(*arguments) / FASTER)


def throttled(request: AWSPreparedRequest, **_: object) -> Any:
    """Answer that this is too often, and that the next call should come in a minute."""
    headers = HTTPHeaders.from_dict({"x-amzn-errortype": "ThrottlingException", "x-amz-retry-after": "60000"})
    return AWSResponse(request.url, 429, headers, HTTPResponse(io.BytesIO()))


@contextmanager
def port(*, unreachable: bool) -> Iterator[int]:
    """A port that takes connections and says nothing, or one whose queue is full: it takes none, and refuses none."""
    with socket.create_server(("127.0.0.1", 0), backlog=0 if unreachable else 128) as server, ExitStack() as stack:
        for _ in range(2 * unreachable):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@contextmanager
def outside(kind: str) -> Iterator[None]:
    """Let every service but the database fail, each at a name with two addresses. The block must end in time."""
    resolve = socket.getaddrinfo

    def two_addresses(host: Any, *arguments: Any, **options: Any) -> Any:
        found = resolve("127.0.0.1" if host == HOST else host, *arguments, **options)
        return found * 2 if host == HOST else found

    with pytest.MonkeyPatch.context() as patch, port(unreachable=kind == "unreachable") as number:
        hurry(patch)
        url = f"http://{HOST}:{number}"
        patch.setattr(socket, "getaddrinfo", two_addresses)
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setattr(secrets.r2_secret, "_value", secrets.r2_secret.read().model_copy(update={"endpoint_url": url}))
        for secret in (secrets.jwt_secret, secrets.location_secret, secrets.r2_secret):
            secret.read()
            patch.setattr(secret, "_read_again_at", 0.0)  # the deployed functions read them five minutes ago
        clients.start_anew()
        if kind == "throttling":
            clients._session().events.register("before-send", throttled)
        for make in (clients.secrets_manager, clients.scheduler, clients.event_bus, clients.uploads):
            make()  # as Lambda does before the first request
        began = time.monotonic()
        yield
        assert time.monotonic() - began < LIMIT_SECONDS
    clients.start_anew()
    schedules.breaker.close()
    secrets.breaker.close()


def unreadable() -> None:
    raise SecretsUnavailable("Timeout")


PATCHES: dict[str, tuple[object, str, object]] = {
    "the secret of R2 cannot be read": (secrets.r2_secret, "read", unreadable),
    "the function dies after its commit": (relay, "do_now", lambda *_: None),
    "the database goes after the commit": (relay, "_SETTLE", "SELECT pg_terminate_backend(pg_backend_pid())"),
}


@contextmanager
def failing(fault: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        if fault in PATCHES:
            patch.setattr(*PATCHES[fault])
        elif fault != "nothing":
            stack.enter_context(outside(fault))
        yield


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["nothing", *PATCHES, "unreachable", "silent", "throttling"])
def test_nothing_remains_of_a_member_who_leaves_whatever_fails(phone: Phone, world: World, fault: str) -> None:
    """Leaving calls the most: two secrets, the scheduler, the bus and both stores."""
    other = Phone("other")
    for each in (phone, other):
        each.create_profile(description="x")
        each.create_preferences()
        each.start()
    kept = schedules_of(other.extend(60))
    world.arrive(phone.send())
    phone.send()
    with failing(fault):
        answer = phone.call("delete_profile")
    assert (answer.status, answer.body) == (204, None)
    for table in (*DELETED, "after_hours_sessions WHERE ended_at IS NULL"):
        assert world.rows(f"SELECT user_id FROM {table}") == [("local-other",)]
    assert (world.counts("after_hours_outbox") == [0]) == (fault == "nothing")
    if fault != "nothing":
        world.leases_run_out()
        world.sweep()
    assert (world.photos(), world.originals(), world.schedules()) == (set(), set(), kept)
    assert world.counts("after_hours_outbox") == [0]
    world.pass_time(hours=1)
    assert world.sweep()["departedForgotten"] == 1
    for table in (*DELETED, "after_hours_sessions", "after_hours_photo_uploads"):
        assert set(world.rows(f"SELECT user_id FROM {table}")) <= {("local-other",)}


LIVE = (
    "INSERT INTO after_hours_sessions (user_id, expires_at, fuzzed_latitude, fuzzed_longitude)"
    " VALUES ('local-entitled', now() + interval '1 hour', 1, 1)"
)


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("under_way", "follows", "outcome"),
    [
        ("INSERT INTO after_hours_preferences (user_id) VALUES ('local-entitled')", Phone.leave, "done"),
        (LIVE, Phone.leave, "done"),
        ("DELETE FROM after_hours_profiles", Phone.start, "400 PROFILE_REQUIRED"),
    ],
)
def test_leaving_and_creating_wait_for_each_other(
    phone: Phone, world: World, under_way: str, follows: Callable[[Phone], object], outcome: str
) -> None:
    """What one phone creates meanwhile, the leaving of another deletes. After leaving, nothing begins."""

    def follow() -> str:
        try:
            follows(phone)
        except Refused as refusal:
            return str(refusal)
        return "done"

    with closing(world.database.connect()) as other, other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("SELECT after_hours_lock_member('local-entitled')")
        cursor.execute(under_way)
        following = pool.submit(follow)
        until(lambda: world.rows("SELECT FROM pg_locks WHERE NOT granted") or following.done())
        other.commit()
        assert following.result() == outcome
    assert world.counts("after_hours_preferences", "after_hours_profiles") == [0, 0]
    assert world.rows("SELECT FROM after_hours_sessions WHERE ended_at IS NULL") == []
    assert world.counts("device_fingerprints") == [0]
