"""The database may go and come back: 503 meanwhile, nothing half done, and no cold start to recover."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from after_hours.foundation import database, secrets
from after_hours.foundation.connecting import Timeouts
from after_hours.foundation.database import Database
from after_hours.foundation.faults import DatabaseUnavailable, InternalError, Misconfigured, OutcomeUnknown

from infra.endpoints import ENDPOINTS
from tests.support.phone import VALID_BODIES, Phone, refused
from tests.support.world import World


@pytest.fixture
def warm(phone: Phone) -> None:
    phone.session()


@pytest.mark.usefixtures("warm")
def test_a_connection_the_server_closed_is_replaced_unnoticed(phone: Phone, world: World) -> None:
    world.rows("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'after-hours'")
    phone.session()


def test_one_warm_function_keeps_one_connection(phone: Phone, world: World) -> None:
    for _ in range(5):
        phone.session()
    assert world.rows("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'after-hours'") == [(1,)]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.function)
def test_without_the_database_503_and_with_it_again_at_once(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch, endpoint: Any
) -> None:
    phone.session()
    elsewhere = secrets.DatabaseSecret.model_validate(world.database.secret | {"port": 9})
    before = world.counts("after_hours_profiles", "after_hours_sessions")
    with monkeypatch.context() as patch:
        patch.setattr(secrets.database_secret, "read", lambda **_: elsewhere)
        database.shared.cache_clear()
        answer = phone.call(endpoint.function, body=VALID_BODIES.get(endpoint.function))
        assert answer.status == 503
        assert answer.body["code"] in {"ACCESS_CHECK_FAILED", "SERVICE_UNAVAILABLE"}
        assert answer.headers["retry-after"] == "5"
        warm = database.shared()
    monkeypatch.setattr(warm, "_secret", secrets.database_secret.read)  # the server is back where it was
    assert world.counts("after_hours_profiles", "after_hours_sessions") == before
    phone.session()
    assert database.shared() is warm


def test_a_new_password_is_read_when_the_old_one_is_refused(world: World) -> None:
    reads = []

    def secret(*, fresh: bool = False) -> secrets.DatabaseSecret:
        reads.append(fresh)
        password = world.database.password if fresh else "the old one"
        return secrets.DatabaseSecret.model_validate(world.database.secret | {"password": password})

    assert Database(secret).fetch_one("SELECT 1 AS one", {}) == {"one": 1}
    assert reads == [False, True]


def test_a_statement_that_takes_too_long_is_given_up(connection: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="57014"):
        connection.fetch_one("SELECT set_config('statement_timeout', '50ms', true); SELECT pg_sleep(5)")


def test_a_server_that_says_nothing_is_given_up(connection: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_timeouts", Timeouts(connect_seconds=5, silence_seconds=1))
    backend = psutil.Process(connection.fetch_one("SELECT pg_backend_pid() AS pid")["pid"])
    backend.suspend()
    try:
        with pytest.raises(OutcomeUnknown):
            connection.fetch_one("SELECT 1")
        assert connection.fetch_one("SELECT 1 AS one", {}) == {"one": 1}  # from another backend
    finally:
        backend.resume()


def test_statements_take_and_give_uuids_in_a_process_with_nothing_else_in_it(world: World) -> None:
    """SQLAlchemy, which the tests have beside them and functions have not, teaches psycopg2 as much."""
    script = (
        "import json, sys, uuid; from after_hours.foundation import database, secrets; given = uuid.uuid4();"
        "ours = database.Database(lambda **_: secrets.DatabaseSecret.model_validate(json.loads(sys.argv[1])));"
        "assert ours.fetch_one('SELECT %(given)s AS taken', {'given': given}) == {'taken': given};"
        "assert 'sqlalchemy' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", script, json.dumps(world.database.secret)],
        check=True,
        env={"PYTHONPATH": "layers/after_hours/python"},
    )


def test_after_a_failover_a_read_only_connection_is_given_up(connection: Database) -> None:
    connection.execute("SET default_transaction_read_only = on", {})
    with pytest.raises(DatabaseUnavailable):
        connection.execute("UPDATE after_hours_profiles SET photo_url = photo_url", {})
    connection.execute("UPDATE after_hours_profiles SET photo_url = photo_url", {})


def test_an_error_never_quotes_the_row(connection: Database) -> None:
    with pytest.raises(InternalError) as caught:
        connection.execute("INSERT INTO users (id) VALUES ('52.520008 13.404954')", {})
    assert "52.52" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.1"])
def test_off_this_machine_the_certificate_is_verified(world: World, host: str) -> None:
    with pytest.raises(ValueError, match="sslmode"):
        secrets.DatabaseSecret.model_validate(world.database.secret | {"host": host})
    without_mode = {name: value for name, value in world.database.secret.items() if name != "sslmode"}
    assert secrets.DatabaseSecret.model_validate(without_mode | {"host": host}).sslmode == "verify-full"
    with pytest.raises(ValueError, match="sslmode"):
        secrets.DatabaseSecret.model_validate(world.database.secret | {"host": host, "sslmode": "require"})


def test_a_secret_that_lacks_something_is_named(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_text", lambda _: '{"previousJwtSecret": "too short"}')
    with pytest.raises(Misconfigured, match=r"JwtSecret.*jwtSecret: Field required; previousJwtSecret"):
        secrets.jwt_secret.read(fresh=True)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.function)
def test_a_read_takes_one_statement_and_a_change_three_at_most(
    phone: Phone, world: World, statements: Callable[[], list[str]], endpoint: Any
) -> None:
    if endpoint.function != "create_profile":
        world.rows("INSERT INTO after_hours_profiles (user_id) VALUES ('local-entitled')")
    if endpoint.function in {"get_session", "extend_session", "end_session"}:
        world.rows(
            "INSERT INTO after_hours_sessions (user_id, expires_at, latitude, longitude)"
            " VALUES ('local-entitled', now() + interval '1 hour', 1, 1)"
        )
    if endpoint.function in {"get_preferences", "update_preferences"}:
        world.rows("INSERT INTO after_hours_preferences (user_id) VALUES ('local-entitled')")
    if endpoint.function in {"get_photo", "delete_photo"}:
        world.rows("INSERT INTO after_hours_photo_uploads (user_id) VALUES ('local-entitled')")
    before = len(statements())
    answer = phone.call(endpoint.function, body=VALID_BODIES.get(endpoint.function))
    assert answer.status in {200, 201, 204}
    sent = len(statements()) - before
    if endpoint.method == "GET":
        assert sent == 1
    else:
        assert 1 <= sent <= 3


def test_a_refused_start_takes_two_statements(phone: Phone, statements: Callable[[], list[str]]) -> None:
    phone.create_profile()
    phone.start()
    before = len(statements())
    with refused("409 SESSION_ALREADY_ACTIVE"):
        phone.start()
    assert len(statements()) - before == 2
