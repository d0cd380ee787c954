"""Connections as a deployment has them: over verified TLS, through a pooler that takes no settings; and lost ones."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
import trustme
from after_hours.foundation import connecting, database, secrets
from after_hours.foundation.connecting import MIGRATION, Timeouts, open_connection
from after_hours.foundation.database import Database
from after_hours.foundation.faults import DatabaseUnavailable, DatabaseUnreachable, OutcomeUnknown

from infra.endpoints import ENDPOINTS
from tests.support.handlers import send
from tests.support.phone import Phone
from tests.support.pooler import Pooler, pooler
from tests.support.world import World
from tools.local import postgres
from tools.local.samples import samples

pytestmark = pytest.mark.slow  # silent servers are waited for

SOON = Timeouts(connect_seconds=2, silence_seconds=1)


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def proxy(serving: postgres.Database, authority: trustme.CA) -> Iterator[Pooler]:
    with pooler(serving.port, authority.issue_cert("localhost")) as running:
        yield running


def through(proxy: Pooler, serving: postgres.Database, roots: str | None) -> secrets.DatabaseSecret:
    secret = {name: value for name, value in serving.secret.items() if name != "sslmode"}
    return secrets.DatabaseSecret.model_validate(
        secret | {"host": "localhost", "port": proxy.port, "sslrootcert": roots}
    )


@pytest.fixture
def access(proxy: Pooler, serving: postgres.Database, authority: trustme.CA) -> secrets.DatabaseSecret:
    return through(proxy, serving, pem(authority))


def test_an_endpoint_takes_few_round_trips_and_nothing_sets_what_a_pooler_refuses_or_pins(
    proxy: Pooler, access: secrets.DatabaseSecret, phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read takes one statement, and a change three at most."""
    monkeypatch.setattr(secrets.database_secret, "read", lambda **_: access)
    for endpoint in ENDPOINTS:
        sample = samples()[endpoint.function]["valid"]
        world.begin_anew()
        world.prepare(sample.expected.given)
        before = len(proxy.statements)
        assert send(endpoint.function, sample.event(phone.token)).status < 300
        sent = len(proxy.statements) - before
        assert sent == 1 if endpoint.method == "GET" else 1 <= sent <= 3, endpoint.function
    world.sweep()
    pinning = re.compile(r"\b(SET|RESET|PREPARE|LISTEN|TEMP|DECLARE)\b\s(?!NULL)", re.IGNORECASE)
    assert [text for text in proxy.statements if pinning.match(text.strip())] == []
    assert not any(re.search(r"pg_(try_)?advisory_lock", text) for text in proxy.statements)
    assert not any(b"\0options\0" in startup for startup in proxy.startups)


# TLS


def test_a_server_must_be_certified_by_a_trusted_authority_and_by_its_name(
    proxy: Pooler,
    serving: postgres.Database,
    access: secrets.DatabaseSecret,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without authorities in the secret, those of the layer count."""
    roots = tmp_path / "public.pem"
    monkeypatch.setattr(connecting, "_PUBLIC_AUTHORITIES", roots)
    another = pem(trustme.CA())
    roots.write_text(another)
    for untrusted in (another, None):
        with pytest.raises(DatabaseUnreachable, match="certificate verify failed"):
            Database(lambda roots=untrusted, **_: through(proxy, serving, roots)).fetch_one("SELECT 1")
    roots.write_text(another + pem(authority))
    for trusted in (access, through(proxy, serving, None)):
        assert trusted.sslmode == "verify-full"
        assert Database(lambda login=trusted, **_: login).fetch_one("SELECT 1 AS one") == {"one": 1}
    with (
        pooler(serving.port, authority.issue_cert("db.example.com")) as impostor,
        pytest.raises(DatabaseUnreachable, match=r'certificate for "db\.example\.com"'),
    ):
        Database(lambda **_: through(impostor, serving, pem(authority))).fetch_one("SELECT 1")


@pytest.mark.parametrize(("host", "mode"), [("db.example.com", "disable"), ("10.0.0.1", "disable"), ("::1", "require")])
def test_off_this_machine_the_certificate_is_verified(serving: postgres.Database, host: str, mode: str) -> None:
    with pytest.raises(ValueError, match="sslmode"):
        secrets.DatabaseSecret.model_validate(serving.secret | {"host": host, "sslmode": mode})


@pytest.mark.usefixtures("environment")
def test_by_iam_each_login_has_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address comes from the environment, as for a secret that lacks it."""
    address = {"DATABASE_HOST": "localhost", "DATABASE_PORT": "5432", "DATABASE_NAME": "vlvt"}
    for name, value in (address | {"DATABASE_IAM_USER": "after_hours_app"}).items():
        monkeypatch.setenv(name, value)
    tokens = set()
    for hour in (1, 2):
        moment = datetime(2026, 11, 25, hour)  # noqa: DTZ001 (as botocore has it, in UTC)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda moment=moment, **_: moment)
        login = secrets.database_login()
        assert (login.host, login.dbname, login.username) == ("localhost", "vlvt", "after_hours_app")
        tokens.add(login.password)
    assert len(tokens) == 2


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


# A connection that is lost


def test_on_a_dropped_connection_a_read_is_sent_again_once_and_a_change_never(
    proxy: Pooler, access: secrets.DatabaseSecret, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer comes through it. If it was idle for a minute, it is tried before a change is sent."""
    change = "DELETE FROM after_hours_outbox"
    with closing(Database(lambda **_: access, SOON)) as ours:
        ours.execute(change)
        ours._used_at -= 50
        ours.execute(change)
        ours._used_at -= 61
        proxy.forget()
        ours.execute(change)
        assert proxy.statements == [change, change, "SELECT 1", change]
        proxy.forget()
        with monkeypatch.context() as patch:
            patch.setattr(database, "shared", lambda: ours)
            assert phone.call("get_session").status == 200
        read, again = proxy.statements[4:]
        assert read == again
        proxy.forget()
        with pytest.raises(OutcomeUnknown):
            ours.find_one(f"{change} RETURNING key")
        assert proxy.statements[6:] == [f"{change} RETURNING key"]


def test_a_warm_function_keeps_one_connection_and_replaces_it_unnoticed(phone: Phone, world: World) -> None:
    ours = "FROM pg_stat_activity WHERE application_name = 'after-hours'"
    for _ in range(3):
        phone.session()
    assert world.rows(f"SELECT count(*) {ours}") == [(1,)]
    world.rows(f"SELECT pg_terminate_backend(pid, 5000) {ours}")
    phone.session()


def test_after_a_timeout_or_a_failover_the_connection_is_given_up(world: World) -> None:
    change = "UPDATE after_hours_profiles SET photo_url = photo_url"
    with world.connection() as connection:
        with pytest.raises(DatabaseUnavailable, match="57014"):
            connection.fetch_one("SELECT set_config('statement_timeout', '50ms', true); SELECT pg_sleep(5)")
        connection.execute("SET default_transaction_read_only = on")  # what was a writer is a reader
        with pytest.raises(DatabaseUnavailable):
            connection.execute(change)
        connection.execute(change)
