"""The database may go and come back: 503 meanwhile, nothing half done, and no cold start to recover."""

from collections.abc import Callable

import pytest
from after_hours.foundation import database, secrets
from after_hours.foundation.database import Database
from after_hours.foundation.faults import DatabaseUnavailable, InternalError, Misconfigured

from infra.endpoints import ENDPOINTS
from tests.support.environment import UPLOAD_BUCKET
from tests.support.phone import START, VALID_BODIES, Phone, refused
from tests.support.world import World
from tools.local import states
from tools.local.samples import samples


def test_a_warm_function_keeps_one_connection_and_replaces_it_unnoticed(phone: Phone, world: World) -> None:
    ours = "FROM pg_stat_activity WHERE application_name = 'after-hours'"
    for _ in range(3):
        phone.session()
    assert world.rows(f"SELECT count(*) {ours}") == [(1,)]
    world.rows(f"SELECT pg_terminate_backend(pid, 5000) {ours}")
    phone.session()


@pytest.mark.usefixtures("profile")
def test_without_the_database_503_and_with_it_again_at_once(
    phone: Phone, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = secrets.DatabaseSecret.model_validate(world.database.secret | {"port": 9})
    with monkeypatch.context() as patch:
        patch.setattr(secrets.database_secret, "read", lambda **_: elsewhere)
        database.shared().close()
        for function, code in {
            "get_session": "ACCESS_CHECK_FAILED", "start_session": "ACCESS_CHECK_FAILED",
            "end_session": "SERVICE_UNAVAILABLE",
        }.items():  # fmt: skip
            answer = phone.call(function, body=START)
            assert (answer.status, answer.body["code"], answer.headers["retry-after"]) == (503, code, "5")
        warm = database.shared()
    phone.session()
    assert world.counts("after_hours_sessions") == [0]
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
    secret = world.database.secret | {"host": host}
    for mode in ("disable", "require"):
        with pytest.raises(ValueError, match="sslmode"):
            secrets.DatabaseSecret.model_validate(secret | {"sslmode": mode})
    del secret["sslmode"]
    assert secrets.DatabaseSecret.model_validate(secret).sslmode == "verify-full"


def test_a_secret_that_lacks_something_is_named(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_text", lambda _: '{"previousJwtSecret": "too short"}')
    with pytest.raises(Misconfigured, match=r"JwtSecret.*jwtSecret: Field required; previousJwtSecret"):
        secrets.jwt_secret.read(fresh=True)


def test_a_read_takes_one_statement_and_a_change_three_at_most(
    phone: Phone, world: World, statements: Callable[[], list[str]]
) -> None:
    for endpoint in ENDPOINTS:
        world.begin_anew()
        given = samples()[endpoint.function]["valid"].expected.given
        states.prepare(given, phone.id, rows=world.rows, s3=world.s3, bucket=UPLOAD_BUCKET)
        before = len(statements())
        assert phone.call(endpoint.function, body=VALID_BODIES.get(endpoint.function)).status < 300
        sent = len(statements()) - before
        assert sent == 1 if endpoint.method == "GET" else 1 <= sent <= 3, endpoint.function
    world.begin_anew()
    phone.create_profile()
    phone.start()
    before = len(statements())
    with refused("409 SESSION_ALREADY_ACTIVE"):
        phone.start()
    assert len(statements()) - before == 2
