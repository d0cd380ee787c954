"""Connections as a deployment has them: over verified TLS, through a pooler that takes nothing at their start."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest
from after_hours.foundation import connecting, database, secrets
from after_hours.foundation.connecting import ENDPOINT, JOB, MIGRATION, Timeouts, connect, open_connection
from after_hours.foundation.database import Database
from after_hours.foundation.faults import DatabaseUnreachable, Misconfigured, OutcomeUnknown

from infra.endpoints import ENDPOINTS, Endpoint
from tests.support.certificates import Authority
from tests.support.phone import Phone
from tests.support.pooler import Pooler, pooler
from tests.support.world import World
from tools.local import postgres

pytestmark = pytest.mark.slow  # silent servers are waited for

SOON = Timeouts(connect_seconds=2, silence_seconds=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Those who run localhost")


@pytest.fixture
def proxy(serving: postgres.Database, authority: Authority, tmp_path: Path) -> Iterator[Pooler]:
    with pooler(serving.port, *authority.certify("localhost", tmp_path)) as running:
        yield running


def through(proxy: Pooler, serving: postgres.Database, roots: str, host: str = "localhost") -> secrets.DatabaseSecret:
    secret = {name: value for name, value in serving.secret.items() if name != "sslmode"}
    return secrets.DatabaseSecret.model_validate(secret | {"host": host, "port": proxy.port, "sslrootcert": roots})


@pytest.fixture
def access(proxy: Pooler, serving: postgres.Database, authority: Authority) -> secrets.DatabaseSecret:
    return through(proxy, serving, authority.pem)


@pytest.fixture
def behind(access: secrets.DatabaseSecret, environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions connect through the pooler."""
    monkeypatch.setattr(secrets.database_secret, "read", lambda **_: access)


# What a pooler refuses, and what it would pin


def test_the_pooler_of_these_tests_refuses_options(access: secrets.DatabaseSecret, authority: Authority) -> None:
    with pytest.raises(psycopg2.OperationalError, match="doesn't support command-line options"):
        psycopg2.connect(
            host=access.host, port=access.port, user=access.username, password=access.password, dbname=access.dbname,
            sslmode="require", options="-c statement_timeout=5000",
        )  # fmt: skip


@pytest.mark.usefixtures("behind")
def test_every_endpoint_and_job_connects_and_sets_nothing(proxy: Pooler, phone: Phone, world: World) -> None:
    bodies = {
        "create_profile": {"description": "x"}, "update_profile": {"description": "y"}, "create_preferences": {},
        "update_preferences": {"minAge": 20}, "extend_session": {"additionalMinutes": 15},
        "start_session": {"duration": 15, "latitude": 1, "longitude": 1},
    }  # fmt: skip
    leaving = ("end_session", "delete_photo", "delete_profile")
    for function in (*sorted({e.function for e in ENDPOINTS} - set(leaving)), *leaving):
        assert phone.call(function, body=bodies.get(function)).status in {200, 201, 204, 404}
    world.sweep()
    assert len(proxy.statements) > 35
    pinning = re.compile(r"\b(SET|RESET|PREPARE|LISTEN|TEMP|DECLARE)\b\s(?!NULL)", re.IGNORECASE)
    pinned = [text for text in proxy.statements if pinning.match(text.strip())]
    assert pinned == []
    assert not any(re.search(r"pg_(try_)?advisory_lock", text) for text in proxy.statements)


def test_the_role_brings_its_timeout_and_time_zone_along(access: secrets.DatabaseSecret) -> None:
    with closing(connect(access, ENDPOINT)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('TimeZone'), current_user")
        assert cursor.fetchone() == ("5s", "UTC", "after_hours_app")


def test_the_client_gives_up_after_the_server_would_have() -> None:
    """Else a statement that the server gives up, so that nothing was changed, would look as if nobody knew."""
    assert ENDPOINT.silence_seconds is not None
    assert JOB.silence_seconds is not None
    assert 5 < ENDPOINT.silence_seconds < JOB.silence_seconds
    assert JOB.silence_seconds > 9
    assert ENDPOINT.connect_seconds < JOB.connect_seconds < MIGRATION.connect_seconds


# TLS


def test_a_server_that_a_trusted_authority_certifies_is_connected_to(access: secrets.DatabaseSecret) -> None:
    assert access.sslmode == "verify-full"
    assert Database(lambda **_: access).fetch_one("SELECT 1 AS one") == {"one": 1}


def test_a_server_of_another_authority_is_refused(proxy: Pooler, serving: postgres.Database) -> None:
    with pytest.raises(DatabaseUnreachable, match="certificate verify failed"):
        Database(lambda **_: through(proxy, serving, Authority("Somebody else").pem)).fetch_one("SELECT 1")


def test_a_server_that_is_another_than_it_was_certified_for_is_refused(
    serving: postgres.Database, authority: Authority, tmp_path: Path
) -> None:
    with (
        pooler(serving.port, *authority.certify("db.example.com", tmp_path)) as impostor,
        pytest.raises(DatabaseUnreachable, match=r'certificate for "db\.example\.com"'),
    ):
        Database(lambda **_: through(impostor, serving, authority.pem)).fetch_one("SELECT 1")


def test_without_authorities_of_its_own_a_server_is_judged_by_those_of_the_layer(
    access: secrets.DatabaseSecret, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = access.model_copy(update={"sslrootcert": None})
    roots = tmp_path / "public.pem"
    monkeypatch.setattr(connecting, "_PUBLIC_AUTHORITIES", roots)
    roots.write_text(Authority("A public one").pem)
    with pytest.raises(DatabaseUnreachable, match="certificate verify failed"):
        Database(lambda **_: known).fetch_one("SELECT 1")
    roots.write_text(Authority("A public one").pem + authority.pem)
    assert Database(lambda **_: known).fetch_one("SELECT 1 AS one") == {"one": 1}


# Secrets that hold less, and IAM


def test_address_and_name_may_come_from_the_environment(
    serving: postgres.Database, phone: Phone, client: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client("secretsmanager").create_secret(
        Name="as RDS makes it",
        SecretString=json.dumps(
            {"username": serving.username, "password": serving.password, "sslmode": "disable", "host": "elsewhere"}
        ),
    )
    monkeypatch.setenv("DATABASE_SECRET_ARN", made["ARN"])
    secrets.database_secret.forget()
    with pytest.raises(Misconfigured, match="dbname: Field required"):
        secrets.database_access()
    monkeypatch.setenv("DATABASE_HOST", serving.host)
    monkeypatch.setenv("DATABASE_PORT", str(serving.port))
    monkeypatch.setenv("DATABASE_NAME", serving.dbname)
    assert phone.session() is None
    client("secretsmanager").delete_secret(SecretId=made["ARN"], ForceDeleteWithoutRecovery=True)


@pytest.fixture
def by_iam(proxy: Pooler, serving: postgres.Database, environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_SECRET_ARN")
    for name, value in {
        "DATABASE_IAM_USER": serving.username, "DATABASE_HOST": "localhost", "DATABASE_PORT": str(proxy.port),
        "DATABASE_NAME": serving.dbname, "AWS_SESSION_TOKEN": "of the role",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: moment.replace(tzinfo=None))


@pytest.mark.usefixtures("by_iam")
def test_a_token_is_that_which_botocore_makes(proxy: Pooler, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, datetime(2026, 11, 25, tzinfo=UTC))
    theirs = (
        boto3.Session()
        .client("rds", region_name="us-east-1")
        .generate_db_auth_token(DBHostname="localhost", Port=proxy.port, DBUsername="after_hours_app")
    )
    assert secrets.database_access().password == theirs
    assert secrets.database_access().username == "after_hours_app"


@pytest.mark.usefixtures("by_iam")
def test_each_connection_has_a_token_of_its_own(
    serving: postgres.Database, authority: Authority, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes one token at a time here, as its role's password."""
    roots = tmp_path / "public.pem"
    roots.write_text(authority.pem)
    monkeypatch.setattr(connecting, "_PUBLIC_AUTHORITIES", roots)
    ours = Database(secrets.database_access)
    try:
        for hour in (1, 2):
            at(monkeypatch, datetime(2026, 11, 25, hour, tzinfo=UTC))
            world.rows("ALTER ROLE after_hours_app PASSWORD %s", secrets.database_access().password)
            assert ours.fetch_one("SELECT 1 AS one") == {"one": 1}
            ours.close()
    finally:
        world.rows("ALTER ROLE after_hours_app PASSWORD %s", serving.password)


# Waiting


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Somebody listens and says nothing, like a server that resumes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_connecting_is_given_up_in_time(serving: postgres.Database, silent_port: int) -> None:
    silent = secrets.DatabaseSecret.model_validate(serving.secret | {"port": silent_port})
    began = time.monotonic()
    with pytest.raises(DatabaseUnreachable, match="no answer in time"):
        open_connection(lambda **_: silent, Timeouts(connect_seconds=0.3, silence_seconds=None))
    assert 0.6 <= time.monotonic() - began < 2  # two attempts


def test_who_waits_for_ever_for_answers_waits_so_long_to_connect_too(
    serving: postgres.Database, silent_port: int
) -> None:
    """Longer than an endpoint does, and not longer than it was told."""
    silent = secrets.DatabaseSecret.model_validate(serving.secret | {"port": silent_port})
    began = time.monotonic()
    with pytest.raises(psycopg2.OperationalError, match="no answer in time"):
        connect(silent, Timeouts(connect_seconds=ENDPOINT.connect_seconds + 1, silence_seconds=None))
    assert time.monotonic() - began > ENDPOINT.connect_seconds + 0.9


def test_a_migration_tries_again_until_the_server_is_there(serving: postgres.Database) -> None:
    reads = []

    def access(*, fresh: bool = False) -> secrets.DatabaseSecret:
        reads.append(fresh)
        port = serving.port if len(reads) == 4 else 9
        return secrets.DatabaseSecret.model_validate(serving.secret | {"port": port})

    open_connection(access, MIGRATION).close()
    assert reads == [False, True, True, True]


def test_an_endpoint_tries_twice(serving: postgres.Database) -> None:
    reads = []

    def access(*, fresh: bool = False) -> secrets.DatabaseSecret:
        reads.append(fresh)
        return secrets.DatabaseSecret.model_validate(serving.secret | {"port": 9})

    with pytest.raises(DatabaseUnreachable):
        Database(access).fetch_one("SELECT 1")
    assert reads == [False, True]


def test_a_sweep_without_a_database_waits_for_one_connection_only(
    serving: postgres.Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def nowhere(*, fresh: bool = False) -> secrets.DatabaseSecret:
        reads.append(fresh)
        return secrets.DatabaseSecret.model_validate(serving.secret | {"port": 9})

    monkeypatch.setattr(secrets.database_secret, "read", nowhere)
    with pytest.raises(DatabaseUnreachable):
        world.sweep()
    assert reads == [False, True]


# A connection that a network forgot


@pytest.fixture
def ours(access: secrets.DatabaseSecret) -> Iterator[Database]:
    database = Database(lambda **_: access, SOON)
    database.fetch_one("SELECT 1")
    yield database
    database.close()


def idle_for(ours: Database, seconds: float) -> None:
    ours._used_at -= seconds


@pytest.fixture
def forgotten(proxy: Pooler, ours: Database) -> None:
    """No answer comes through the connection that there is; another one is well."""
    proxy.forget()


@pytest.mark.usefixtures("forgotten")
def test_what_only_reads_is_sent_again_once(proxy: Pooler, ours: Database) -> None:
    assert ours.read_all("SELECT 2 AS two") == [{"two": 2}]
    assert proxy.statements.count("SELECT 2 AS two") == 2


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.method == "GET"], ids=lambda e: e.function)
@pytest.mark.usefixtures("forgotten")
def test_every_read_is_sent_again_once(
    proxy: Pooler, ours: Database, phone: Phone, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.create_profile()
    phone.create_preferences()
    before = len(proxy.statements)
    with monkeypatch.context() as patch:
        patch.setattr(database, "shared", lambda: ours)
        assert phone.call(endpoint.function).status == 200
    first, second = proxy.statements[before:]
    assert first == second


@pytest.mark.usefixtures("forgotten")
def test_a_change_is_never_sent_again(proxy: Pooler, ours: Database) -> None:
    with pytest.raises(OutcomeUnknown):
        ours.find_one("DELETE FROM after_hours_outbox RETURNING key")
    assert len([text for text in proxy.statements if text.startswith("DELETE")]) == 1


@pytest.mark.usefixtures("forgotten")
def test_a_connection_that_was_idle_is_asked_before_a_change_is_sent(proxy: Pooler, ours: Database) -> None:
    idle_for(ours, 61)
    ours.execute("DELETE FROM after_hours_outbox")
    assert proxy.statements[-2:] == ["SELECT 1", "DELETE FROM after_hours_outbox"]


def test_a_connection_that_was_not_idle_is_not_asked(proxy: Pooler, ours: Database) -> None:
    idle_for(ours, 50)
    ours.execute("DELETE FROM after_hours_outbox")
    assert proxy.statements == ["SELECT 1", "DELETE FROM after_hours_outbox"]  # the first is the fixture's


@pytest.mark.usefixtures("behind")
@pytest.mark.parametrize("function", ["get_session", "end_session", "delete_profile"])
def test_a_connection_that_was_forgotten_costs_a_member_nothing(phone: Phone, proxy: Pooler, function: str) -> None:
    phone.create_profile()
    phone.start()
    idle_for(database.shared(), 61)
    proxy.forget()
    assert phone.call(function).status in {200, 204}
