"""Connections as a deployment has them: over verified TLS, through a pooler that takes nothing at their start."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from after_hours.foundation import clients, connecting, database, secrets
from after_hours.foundation.connecting import ENDPOINT, JOB, MIGRATION, Timeouts, connect, open_connection
from after_hours.foundation.database import Database
from after_hours.foundation.faults import DatabaseUnreachable, Misconfigured, OutcomeUnknown

from infra.endpoints import ENDPOINTS
from tests.support.certificates import Authority
from tests.support.phone import VALID_BODIES, Phone
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


# Settings of a connection, which a pooler refuses or pins


@pytest.mark.usefixtures("behind")
def test_every_endpoint_and_job_connects_and_sets_nothing(proxy: Pooler, phone: Phone, world: World) -> None:
    leaving = ("end_session", "delete_photo", "delete_profile")
    for function in (*sorted({e.function for e in ENDPOINTS} - set(leaving)), *leaving):
        assert phone.call(function, body=VALID_BODIES.get(function)).status in {200, 201, 204, 404}
    world.sweep()
    assert len(proxy.statements) > 35
    pinning = re.compile(r"\b(SET|RESET|PREPARE|LISTEN|TEMP|DECLARE)\b\s(?!NULL)", re.IGNORECASE)
    pinned = [text for text in proxy.statements if pinning.match(text.strip())]
    assert pinned == []
    assert not any(re.search(r"pg_(try_)?advisory_lock", text) for text in proxy.statements)


def test_the_server_gives_up_before_the_client(access: secrets.DatabaseSecret) -> None:
    """The role has its timeout. With a shorter one of the client's, a change might be made and not answered."""
    with closing(connect(access, ENDPOINT)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('TimeZone'), current_user")
        assert cursor.fetchone() == ("5s", "UTC", "after_hours_app")
    assert ENDPOINT.silence_seconds is not None
    assert JOB.silence_seconds is not None
    assert 5 < ENDPOINT.silence_seconds < JOB.silence_seconds


# TLS


def test_only_a_server_that_a_trusted_authority_certifies_by_its_name_is_connected_to(
    proxy: Pooler, serving: postgres.Database, access: secrets.DatabaseSecret, authority: Authority, tmp_path: Path
) -> None:
    assert access.sslmode == "verify-full"
    assert Database(lambda **_: access).fetch_one("SELECT 1 AS one") == {"one": 1}
    with pytest.raises(DatabaseUnreachable, match="certificate verify failed"):
        Database(lambda **_: through(proxy, serving, Authority("Another").pem)).fetch_one("SELECT 1")
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
        secrets.database_login()
    monkeypatch.setenv("DATABASE_HOST", serving.host)
    monkeypatch.setenv("DATABASE_PORT", str(serving.port))
    monkeypatch.setenv("DATABASE_NAME", serving.dbname)
    assert phone.session() is None
    client("secretsmanager").delete_secret(SecretId=made["ARN"], ForceDeleteWithoutRecovery=True)


def test_by_iam_each_connection_has_a_token_of_its_own(
    proxy: Pooler, serving: postgres.Database, authority: Authority, world: World, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The token is what botocore makes. The server takes one at a time here, as its role's password."""
    monkeypatch.delenv("DATABASE_SECRET_ARN")
    for name, value in {
        "DATABASE_IAM_USER": serving.username, "DATABASE_HOST": "localhost", "DATABASE_PORT": str(proxy.port),
        "DATABASE_NAME": serving.dbname, "AWS_SESSION_TOKEN": "of the role",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    clients.start_anew()
    roots = tmp_path / "public.pem"
    roots.write_text(authority.pem)
    monkeypatch.setattr(connecting, "_PUBLIC_AUTHORITIES", roots)
    theirs = boto3.Session().client("rds", region_name="us-east-1").generate_db_auth_token
    try:
        for hour in (1, 2):
            moment = datetime(2026, 11, 25, hour)  # noqa: DTZ001 (as botocore has it, in UTC)
            monkeypatch.setattr("botocore.auth.get_current_datetime", lambda moment=moment, **_: moment)
            password = secrets.database_login().password
            assert password == theirs("localhost", proxy.port, "after_hours_app")
            world.rows("ALTER ROLE after_hours_app PASSWORD %s", password)
            with closing(Database(secrets.database_login)) as ours:
                assert ours.fetch_one("SELECT 1 AS one") == {"one": 1}
    finally:
        world.rows("ALTER ROLE after_hours_app PASSWORD %s", serving.password)


# Waiting


def test_connecting_to_a_silent_server_is_given_up_in_time(serving: postgres.Database) -> None:
    """It listens and says nothing, like a server that resumes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = secrets.DatabaseSecret.model_validate(serving.secret | {"port": listener.getsockname()[1]})
        began = time.monotonic()
        with pytest.raises(DatabaseUnreachable, match="no answer in time"):
            open_connection(lambda **_: silent, Timeouts(connect_seconds=0.3, silence_seconds=None))
        assert 0.6 <= time.monotonic() - began < 2  # two attempts


def test_an_endpoint_and_a_sweep_try_twice_and_a_migration_until_the_server_is_there(
    serving: postgres.Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep has many duties, and waits for one connection only. Each further attempt reads the password afresh."""
    reads: list[bool] = []
    there_after = 99

    def access(*, fresh: bool = False) -> secrets.DatabaseSecret:
        reads.append(fresh)
        port = serving.port if len(reads) > there_after else 9
        return secrets.DatabaseSecret.model_validate(serving.secret | {"port": port})

    monkeypatch.setattr(secrets.database_secret, "read", access)
    for attempt in (world.sweep, lambda: Database(access).fetch_one("SELECT 1")):
        reads.clear()
        with pytest.raises(DatabaseUnreachable):
            attempt()
        assert reads == [False, True]
    reads.clear()
    there_after = 3
    open_connection(access, MIGRATION).close()
    assert reads == [False, True, True, True]


# A connection that a network forgot


@pytest.fixture
def ours(access: secrets.DatabaseSecret) -> Iterator[Database]:
    database = Database(lambda **_: access, SOON)
    database.fetch_one("SELECT 1")
    yield database
    database.close()


@pytest.fixture
def forgotten(proxy: Pooler, ours: Database) -> None:
    """No answer comes through the connection that there is; another one is well."""
    proxy.forget()


@pytest.mark.usefixtures("forgotten")
def test_what_only_reads_is_sent_again_once(
    proxy: Pooler, ours: Database, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(proxy.statements)
    with monkeypatch.context() as patch:
        patch.setattr(database, "shared", lambda: ours)
        assert phone.call("get_session").status == 200
    first, second = proxy.statements[before:]
    assert first == second


@pytest.mark.usefixtures("forgotten")
def test_a_change_is_never_sent_again(proxy: Pooler, ours: Database) -> None:
    with pytest.raises(OutcomeUnknown):
        ours.find_one("DELETE FROM after_hours_outbox RETURNING key")
    assert len([text for text in proxy.statements if text.startswith("DELETE")]) == 1


def test_a_connection_is_asked_before_a_change_is_sent_if_it_was_idle(proxy: Pooler, ours: Database) -> None:
    change = "DELETE FROM after_hours_outbox"
    ours._used_at -= 50
    ours.execute(change)
    assert proxy.statements == ["SELECT 1", change]  # the first is the fixture's
    ours._used_at -= 61
    ours.execute(change)
    assert proxy.statements[2:] == ["SELECT 1", change]


@pytest.mark.usefixtures("behind")
def test_a_connection_that_was_forgotten_costs_a_member_nothing(phone: Phone, proxy: Pooler) -> None:
    phone.create_profile()
    phone.start()
    database.shared()._used_at -= 61
    proxy.forget()
    phone.end()
