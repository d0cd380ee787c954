"""The clients of AWS go where they must, are made when they must be, and their faults are translated in one place."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import boto3
import pytest
from after_hours.foundation import clients, secrets
from after_hours.foundation.faults import (
    EventBusUnavailable,
    Misconfigured,
    SchedulerUnavailable,
    SecretRefused,
    SecretsUnavailable,
    ServiceUnavailable,
)
from after_hours.outbox import domain_events, schedules
from after_hours.outbox.schedules import Change, ScheduleKind
from after_hours.outbox.tasks import Task
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from infra.endpoints import ENDPOINTS, Right
from tests.support.environment import SETTINGS
from tools.local.handlers import load

ID = "0b6ac4ca-7b1a-4c5e-9d5c-0d3a1c0f4d11"
AT = datetime(2126, 11, 25, 1, 2, 3, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 1, 2, 3)  # noqa: DTZ001 (botocore's clock has no zone)
EVENT: Task = {
    "kind": "event", "key": ID, "attempts": 0, "version": 1,
    "payload": {"type": "T", "occurredAt": "2026-11-25T01:02:03Z", "detail": {"userId": "a"}},
}  # fmt: skip
USED_FOR = {
    Right.MOVE_SCHEDULES: clients.scheduler, Right.DELETE_SCHEDULES: clients.scheduler,
    Right.PUBLISH: clients.event_bus, Right.SIGN_UPLOADS: clients.uploads, Right.DELETE_UPLOADS: clients.uploads,
}  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    clients.start_anew()
    schedules.breaker.close()
    yield
    clients.start_anew()
    schedules.breaker.close()


# A service's client and limits, a call, and the host that it goes to: with IPv4 only, and with IPv6, too.
SERVICES = (
    (clients.secrets_manager, clients.SECRETS, "get_secret_value", {"SecretId": "a"},
     "secretsmanager.eu-west-1.amazonaws.com", "secretsmanager.eu-west-1.amazonaws.com"),  # IPv6 under its old name
    (clients.scheduler, clients.SCHEDULER, "get_schedule", {"Name": "a"},
     "scheduler.eu-west-1.amazonaws.com", "scheduler.eu-west-1.api.aws"),
    (clients.event_bus, clients.EVENT_BUS, "put_events", {"Entries": [{"Source": "a"}]},
     "events.eu-west-1.amazonaws.com", "events.eu-west-1.api.aws"),
    (clients.uploads, clients.STORES, "get_object", {"Bucket": "bucket", "Key": "k"},
     "bucket.s3.eu-west-1.amazonaws.com", "bucket.s3.dualstack.eu-west-1.amazonaws.com"),
)  # fmt: skip


@pytest.mark.parametrize(("client", "limits", "call", "parameters", "host", "ipv6_host"), SERVICES)
def test_a_client_is_kept_has_its_limits_and_calls_its_service(
    monkeypatch: pytest.MonkeyPatch,
    client: Callable[[], Any],
    limits: clients.Limits,
    call: str,
    parameters: dict[str, object],
    host: str,
    ipv6_host: str,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for dual_stack, wanted in (("false", host), ("true", ipv6_host)):
        monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", dual_stack)
        clients.start_anew()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: client(), range(8)))
        assert client() is client()
        assert urlsplit(client().generate_presigned_url(call, parameters))[:2] == ("https", wanted)
    options = client().meta.config
    assert (options.connect_timeout, options.read_timeout) == (limits.connect_seconds, limits.read_seconds)
    assert options.retries == {"mode": "standard", "total_max_attempts": limits.attempts}
    assert "after-hours" in options.user_agent


def test_an_endpoint_declares_the_clients_that_it_has_a_right_to_use() -> None:
    declared = {row.function: set(load(row.function).handler.declared.uses) for row in ENDPOINTS}
    assert declared == {row.function: {USED_FOR[right] for right in row.may} for row in ENDPOINTS}


@pytest.mark.parametrize(("initializing", "made"), [(True, 1), (False, 0)])
def test_clients_are_made_while_lambda_initializes_and_threads_are_not(
    monkeypatch: pytest.MonkeyPatch, initializing: bool, made: int
) -> None:
    if initializing:
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    threads = threading.active_count()
    load("start_session")
    makers = (clients.secrets_manager, clients.scheduler, clients._event_bus)
    assert [maker.cache_info().currsize for maker in makers] == [made] * 3
    assert threading.active_count() == threads


def failure(code: str, status: int, message: str = "") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},
    }
    return ClientError(response, "GetSecretValue")


@pytest.mark.parametrize(
    ("raised", "fault", "reason"),
    [
        (failure("AccessDeniedException", 400, "no"), SecretRefused, "AccessDeniedException: no (request r-1)"),
        (failure("ThrottlingException", 400), SecretsUnavailable, "ThrottlingException:  (request r-1)"),
        (failure("TooManyRequestsException", 429), SecretsUnavailable, "TooManyRequestsException:  (request r-1)"),
        (failure("InternalServiceError", 500), SecretsUnavailable, "InternalServiceError:  (request r-1)"),
        (failure("AccessDenied", 403, "not a/the key"), SecretRefused, "AccessDenied: not a/… (request r-1)"),
        (failure("X", 400, "m" * 999), SecretRefused, f"X: {'m' * 300} (request r-1)"),
        (ClientError({}, "GetSecretValue"), SecretRefused, "unknown:  (request unknown)"),
        (ReadTimeoutError(endpoint_url="http://a/the key"), SecretsUnavailable, "ReadTimeoutError"),
    ],
)  # fmt: skip
def test_faults_are_translated_with_what_aws_says_of_them(
    raised: Exception, fault: type[ServiceUnavailable], reason: str
) -> None:
    with (
        pytest.raises(fault) as caught,
        clients.translated(SecretsUnavailable, refused=SecretRefused, hiding="the key"),
    ):
        raise raised
    assert type(caught.value) is fault
    assert str(caught.value) == reason
    assert caught.value.__suppress_context__


def test_a_token_for_the_database_is_that_which_botocore_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: NOW)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a session's+token/=")
    theirs = boto3.Session().client("rds").generate_db_auth_token("db.example", 5432, "a user")
    assert clients.database_token("db.example", 5432, "a user") == theirs
    clients.start_anew()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises(Misconfigured, match="credentials"):
        clients.database_token("db.example", 5432, "a")


@pytest.fixture
def scheduler() -> Any:
    with mock_aws():
        clients.scheduler().create_schedule_group(Name=SETTINGS["SCHEDULE_GROUP"])
        yield clients.scheduler()


@pytest.mark.parametrize(("there", "new"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_schedule_is_made_or_moved_and_deleted_whether_or_not_it_is_there(
    scheduler: Any, there: bool, new: bool
) -> None:
    if there:
        schedules.carry_out(Change(ID, ScheduleKind.EXPIRY, AT - timedelta(days=1), new=True))
    schedules.carry_out(Change(ID, ScheduleKind.EXPIRY, AT, new=new))
    made = scheduler.get_schedule(GroupName=SETTINGS["SCHEDULE_GROUP"], Name=f"expire-{ID}")
    assert made["ScheduleExpression"] == "at(2126-11-25T01:02:03)"
    assert made["ActionAfterCompletion"] == "DELETE"
    assert made["Target"]["DeadLetterConfig"] == {"Arn": SETTINGS["SCHEDULE_DEAD_LETTER_ARN"]}
    for _ in range(2):
        schedules.carry_out(Change(ID, ScheduleKind.EXPIRY, None))
        assert scheduler.list_schedules()["Schedules"] == []


def test_after_a_scheduler_that_did_not_answer_it_is_left_alone_for_half_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Mock(return_value=1_800_000_000.0)

    def silent(**_: object) -> None:
        clock.return_value += 4
        raise ReadTimeoutError(endpoint_url="")

    monkeypatch.setattr("after_hours.foundation.calls.time", Mock(monotonic=clock, time=clock))
    monkeypatch.setattr(clients.scheduler(), "delete_schedule", silent)
    with pytest.raises(SchedulerUnavailable, match="ReadTimeoutError"):
        schedules.carry_out(Change(ID, ScheduleKind.EXPIRY, None))
    for seconds, is_open in ((0, True), (29, True), (2, False), (-100, False)):  # also when the clock goes back
        clock.return_value += seconds
        assert schedules.breaker.is_open is is_open


def test_a_cold_process_does_not_wait_for_a_silent_secrets_manager_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secrets.breaker, "_open_until", time.time() + 5)
    with pytest.raises(SecretsUnavailable, match="a moment ago"):
        secrets.Secret(secrets.JwtSecret, "JWT_SECRET_ARN").read()


def test_the_bus_is_called_on_a_new_connection_after_a_minute_without_use(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, close = Mock(return_value=1_800_000_000.0), Mock()
    monkeypatch.setattr("after_hours.foundation.clients.time.time", clock)
    monkeypatch.setattr(clients.event_bus(), "close", close)
    for seconds, closed in ((59, 0), (61, 1)):
        clock.return_value += seconds
        clients.event_bus()
        assert close.call_count == closed


def test_a_bus_that_refuses_events_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = Mock(side_effect=failure("ResourceNotFoundException", 400))
    monkeypatch.setattr(clients.event_bus(), "put_events", refuse)
    with pytest.raises(EventBusUnavailable, match="ResourceNotFoundException"):
        domain_events._put([EVENT])
