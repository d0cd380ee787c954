"""When a member leaves, everything of the member is deleted, in time, whatever fails outside."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from unittest.mock import Mock

import pytest
from after_hours.foundation import calls, clients, secrets
from after_hours.foundation.faults import SecretsUnavailable
from after_hours.outbox import relay, schedules
from botocore.retries.standard import ExponentialBackoff

from tests.support.phone import START, Phone
from tests.support.waiting import until
from tests.support.world import World, schedules_of

DELETED = ("after_hours_profiles", "after_hours_preferences", "device_fingerprints")
LIMITS = {name: getattr(clients, name) for name in ("SECRETS", "SCHEDULER", "EVENT_BUS", "STORES")}
FASTER = 2  # the clocks of these tests, than those in service
LIMIT_SECONDS = 20 / FASTER  # the function may run for 25


@contextmanager
def silence_outside(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every service but the database take connections and give no answer. The block must end in time.

    It waits as long as in service, by a clock that goes faster.
    """
    for name, slow in LIMITS.items():
        patch.setattr(clients, name, replace(slow, read_seconds=slow.read_seconds / FASTER))
    for module, name in ((calls, "_SILENCE_SECONDS"), (relay, "_SECONDS_TO_BEGIN")):
        patch.setattr(module, name, getattr(module, name) / FASTER)
    pause = ExponentialBackoff.delay_amount
    patch.setattr(ExponentialBackoff, "delay_amount", lambda *arguments: pause(*arguments) / FASTER)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setattr(secrets.r2_secret, "_value", secrets.r2_secret.read().model_copy(update={"endpoint_url": url}))
        for secret in (secrets.jwt_secret, secrets.location_secret, secrets.r2_secret):
            secret.read()
            patch.setattr(secret, "_read_again_at", 0.0)  # the deployed functions read them five minutes ago
        clients.start_anew()
        for make in (clients.secrets_manager, clients.scheduler, clients.event_bus, clients.uploads):
            make()  # as Lambda does before the first request
        began = time.monotonic()
        yield
        assert time.monotonic() - began < LIMIT_SECONDS
    clients.start_anew()
    schedules.breaker.close()
    secrets.breaker.close()


PATCHES: dict[str, tuple[object, str, object]] = {
    "the secret of R2 cannot be read": (secrets.r2_secret, "read", Mock(side_effect=SecretsUnavailable("Timeout"))),
    "the function dies after its commit": (relay, "do_now", lambda *_: None),
    "the database goes after the commit": (relay, "_SETTLE", "SELECT pg_terminate_backend(pg_backend_pid())"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["nothing", *PATCHES, "silence"])
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
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        if fault in PATCHES:
            patch.setattr(*PATCHES[fault])
        elif fault == "silence":
            stack.enter_context(silence_outside(patch))
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


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("under_way", "function", "status"),
    [
        ("INSERT INTO after_hours_preferences (user_id) VALUES ('local-entitled')", "delete_profile", 204),
        ("INSERT INTO after_hours_sessions (user_id, expires_at) VALUES ('local-entitled', now() + interval '1 hour')",
         "delete_profile", 204),
        ("DELETE FROM after_hours_profiles", "start_session", 400),
    ],
)  # fmt: skip
def test_leaving_and_creating_wait_for_each_other(
    phone: Phone, world: World, under_way: str, function: str, status: int
) -> None:
    """What one phone creates meanwhile, the leaving of another deletes. After leaving, nothing begins."""
    with closing(world.database.connect()) as other, other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("SELECT after_hours_lock_member('local-entitled')")
        cursor.execute(under_way)
        following = pool.submit(phone.call, function, body=START if function == "start_session" else None)
        until(lambda: world.rows("SELECT FROM pg_locks WHERE NOT granted") or following.done())
        other.commit()
        assert following.result().status == status
    assert world.counts("after_hours_preferences", "after_hours_profiles", "device_fingerprints") == [0, 0, 0]
    assert world.rows("SELECT FROM after_hours_sessions WHERE ended_at IS NULL") == []
