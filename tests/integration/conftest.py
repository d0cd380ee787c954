"""Handlers against a real PostgreSQL; moto's server stands for the AWS on their far side."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from io import StringIO
from typing import Any

import boto3
import pytest
from after_hours import aws
from after_hours.observability import logger
from moto.server import ThreadedMotoServer
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from local import members, postgres
from local.place import Place
from local.processes import Processes
from migrations.upgrade import upgrade
from tests.support.environment import (
    JWT_SECRET,
    LOCATION_KEY,
    R2_BUCKET,
    SETTINGS,
    UNREACHABLE,
    UPLOAD_BUCKET,
    start_cold,
)
from tests.support.handlers import Answer, Context, http_event, load, send
from tests.support.places import temporary_place


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    with temporary_place() as place:
        yield place


@pytest.fixture(scope="session")
def server(place: Place) -> Iterator[postgres.Database]:
    processes = Processes(place)
    try:
        yield postgres.start(place, processes, durable=False)
    finally:
        processes.end_all()


@pytest.fixture(scope="session")
def new_database(server: postgres.Database) -> Callable[[str], postgres.Database]:
    """Make a further, empty database on the same server; one of that name is emptied, which is far quicker."""

    def make(name: str) -> postgres.Database:
        database = postgres.Database(server.port, server.password, dbname=name)
        with closing(server.connect("postgres")) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s", (name,))
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            cursor.execute(f'ALTER DATABASE "{name}" RESET ALL' if cursor.fetchone() else f'CREATE DATABASE "{name}"')
        with closing(database.connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC")
        return database

    return make


@pytest.fixture(scope="session")
def migrated(server: postgres.Database) -> postgres.Database:
    connection = server.connect()
    members.create_host_tables(connection)
    connection.close()
    upgrade(server.connect)
    return server


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    moto = ThreadedMotoServer(port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}".replace("0.0.0.0", "127.0.0.1")
    moto.stop()


@pytest.fixture(scope="session")
def deployed(migrated: postgres.Database, aws_url: str) -> dict[str, str]:
    """What the deployment makes: the secrets and the schedule group. Returns the functions' environment."""
    access: Any = {
        "endpoint_url": aws_url, "region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b",
    }  # fmt: skip
    secrets = boto3.client("secretsmanager", **access)
    r2 = {"endpointUrl": aws_url, "bucket": R2_BUCKET, "accessKeyId": "c", "secretAccessKey": "d"}
    app = {"jwtSecret": JWT_SECRET, "locationKey": LOCATION_KEY, "r2": r2}
    s3 = boto3.client("s3", **access)
    s3.create_bucket(Bucket=R2_BUCKET)
    s3.create_bucket(Bucket=UPLOAD_BUCKET)
    boto3.client("events", **access).create_event_bus(Name=SETTINGS["EVENT_BUS"])
    arns = {
        f"{name.upper()}_SECRET_ARN": secrets.create_secret(Name=name, SecretString=json.dumps(value))["ARN"]
        for name, value in {"database": migrated.secret, "app": app}.items()
    }
    boto3.client("scheduler", **access).create_schedule_group(Name="after-hours")
    return SETTINGS | arns | {"AWS_ENDPOINT_URL": aws_url}


@pytest.fixture(scope="session")
def client(deployed: dict[str, str]) -> Callable[[str], Any]:
    """Make a client of the AWS on the far side."""

    def make(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=deployed["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )

    return make


@pytest.fixture(scope="session")
def scheduler(client: Callable[[str], Any]) -> Any:
    return client("scheduler")


@pytest.fixture(scope="session")
def s3(client: Callable[[str], Any]) -> Any:
    """Both stores: the upload bucket, and the one that stands for R2."""
    return client("s3")


@pytest.fixture
def keys(s3: Any) -> Callable[[str], set[str]]:
    """The keys in a bucket; both are empty at the start."""

    def read(bucket: str) -> set[str]:
        return {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", ())}

    for bucket in (UPLOAD_BUCKET, R2_BUCKET):
        for key in read(bucket):
            s3.delete_object(Bucket=bucket, Key=key)
    return read


@pytest.fixture
def environment(deployed: dict[str, str], scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A function's environment. Each test starts cold, without a schedule."""
    for name, value in deployed.items():
        monkeypatch.setenv(name, value)
    for schedule in scheduler.list_schedules(GroupName="after-hours")["Schedules"]:
        scheduler.delete_schedule(Name=schedule["Name"], GroupName="after-hours")
    start_cold()
    yield
    start_cold()


@pytest.fixture(scope="session")
def own_connection(migrated: postgres.Database) -> Iterator[Connection]:
    """The tests' own, beside those of the functions; one for all tests, because making it takes longer than its use."""
    with closing(migrated.connect()) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def rows(own_connection: Connection) -> Callable[..., list[tuple[Any, ...]]]:
    """Ask the database directly; the tables are empty at the start."""

    def run(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with own_connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    # Not TRUNCATE: it makes new files for each table and index, and takes a hundred times as long for so few rows.
    run("DELETE FROM users")
    run(  # what follows the end of an account, too
        "DELETE FROM after_hours_removals; DELETE FROM after_hours_domain_events; DELETE FROM after_hours_departures"
    )
    return run


@pytest.fixture
def people(own_connection: Connection, rows: Any, environment: None) -> dict[str, members.Member]:
    members.save(own_connection, *members.SEEDED.values())
    return members.SEEDED


@pytest.fixture
def call(people: dict[str, members.Member]) -> Callable[..., Answer]:
    """Call an endpoint's handler, as the entitled member unless `who` says otherwise."""

    def run(
        function: str,
        *,
        who: str = "entitled",
        body: Any = None,
        extra_headers: dict[str, str] | None = None,
        **overrides: Any,
    ) -> Answer:
        event = http_event(token=members.token(people[who].id, JWT_SECRET), body=body, **overrides)
        event["headers"] |= extra_headers or {}
        return send(function, event)

    return run


@pytest.fixture
def run_job(environment: None) -> Callable[..., Any]:
    def run(function: str, event: Any = None) -> Any:
        return json.loads(json.dumps(load(function)(event or {}, Context(function))))  # as Lambda does

    return run


@pytest.fixture
def profile(call: Callable[..., Answer]) -> None:
    assert call("create_profile", body={}).status == 201


@pytest.fixture
def scheduled(scheduler: Any) -> Callable[[], dict[str, str]]:
    """Name → expression of all schedules there are now."""

    def read() -> dict[str, str]:
        names = [s["Name"] for s in scheduler.list_schedules(GroupName="after-hours")["Schedules"]]
        return {n: scheduler.get_schedule(Name=n, GroupName="after-hours")["ScheduleExpression"] for n in names}

    return read


@pytest.fixture
def scheduler_outage(environment: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """`with scheduler_outage():` nobody answers where the scheduler should be."""

    @contextmanager
    def outage() -> Iterator[None]:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SCHEDULER", UNREACHABLE)
        aws._client.cache_clear()
        yield
        monkeypatch.delenv("AWS_ENDPOINT_URL_SCHEDULER")
        aws._client.cache_clear()

    return outage


@pytest.fixture
def statements(migrated: postgres.Database, place: Place) -> Iterator[Callable[[], list[str]]]:
    """What the functions sent to the server since this fixture was set up, from the server's own log."""
    connection = migrated.connect()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE \"{migrated.dbname}\" SET log_statement = 'all'")
        cursor.execute("SELECT pg_reload_conf()")
    log = place.logs / "postgresql.log"
    start = log.stat().st_size

    def read() -> list[str]:
        text = log.read_bytes()[start:].decode()
        return re.findall(r"LOG: +(?:statement|execute [^:]*): ", text)

    yield read
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{migrated.dbname}" RESET log_statement')
    connection.close()


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Read what was logged and printed (as metrics are) so far: all that Lambda would write to the function's log."""
    logged = StringIO()
    printed: list[str] = []
    monkeypatch.setattr(logger.registered_handler, "stream", logged)

    def read() -> str:
        printed.extend(capsys.readouterr())
        return logged.getvalue() + "".join(printed)

    return read
