"""Handlers against a real PostgreSQL, and moto's server in place of AWS."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache, partial
from io import StringIO
from typing import Any

import boto3
import pytest
from after_hours.foundation import clients, secrets
from after_hours.foundation.observability import logger
from moto.events.models import EventsBackend
from moto.s3.models import s3_backends
from moto.scheduler.models import scheduler_backends
from moto.server import ThreadedMotoServer
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from migrations.upgrade import upgrade
from tests.support.databases import structure
from tests.support.environment import (
    JWT_SECRET,
    LOCATION_KEY,
    R2_BUCKET,
    SETTINGS,
    UPLOAD_BUCKET,
    forget,
)
from tests.support.phone import Phone
from tests.support.workspaces import temporary_workspace
from tests.support.world import World
from tools.contract import published
from tools.local import members, postgres
from tools.local.processes import Processes
from tools.local.workspace import Workspace


@pytest.fixture(scope="session")
def workspace() -> Iterator[Workspace]:
    with temporary_workspace() as workspace:
        yield workspace


@pytest.fixture(scope="session")
def server(workspace: Workspace) -> Iterator[postgres.Database]:
    processes = Processes(workspace)
    try:
        yield postgres.start(workspace, processes, durable=False)
    finally:
        processes.end_all()


type NewDatabase = Callable[..., postgres.Database]


@pytest.fixture(scope="session")
def new_database(server: postgres.Database) -> NewDatabase:
    """Make a further database on the same server, empty or as a template is; one of that name is replaced."""

    def make(name: str, template: str = "template0") -> postgres.Database:
        with closing(server.connect("postgres")) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return postgres.Database(server.port, server.password, dbname=name)

    return make


@pytest.fixture(scope="session")
def host_template(new_database: NewDatabase) -> postgres.Database:
    """The main app's database, without tables of ours: a template."""
    database = new_database("host_template")
    with closing(database.connect()) as connection:
        members.create_host_tables(connection)
        members.save(connection, *members.SEEDED.values())
    return database


@pytest.fixture(scope="session")
def upgraded_template(new_database: NewDatabase, host_template: postgres.Database) -> postgres.Database:
    """The main app's database after all migrations: a template."""
    database = new_database("upgraded_template", host_template.dbname)
    upgrade(database.connect)
    return database


@pytest.fixture(scope="session")
def migrated(new_database: NewDatabase, upgraded_template: postgres.Database) -> postgres.Database:
    """The database that the functions use, as its owner."""
    database = new_database("migrated", upgraded_template.dbname)
    upgrade(database.connect, app_role=postgres.serving(database).username)
    return database


@pytest.fixture(scope="session")
def serving(migrated: postgres.Database) -> postgres.Database:
    """The same database, as the role that the functions connect as."""
    return postgres.serving(migrated)


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    moto = ThreadedMotoServer(port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}".replace("0.0.0.0", "127.0.0.1")
    moto.stop()


@pytest.fixture(autouse=True)
def on_the_bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The events that were put on the bus. A test fails if one of them is not as docs/events describes it."""
    entries: list[dict[str, Any]] = []
    faults: list[str] = []
    put_events = EventsBackend.put_events

    def noted(backend: EventsBackend, events: list[dict[str, Any]]) -> Any:
        entries.extend(events)
        for event in events:
            faults.extend(published.faults(event["Source"], event["DetailType"], json.loads(event["Detail"])))
        return put_events(backend, events)

    monkeypatch.setattr(EventsBackend, "put_events", noted)
    yield entries
    assert faults == []


@pytest.fixture(scope="session")
def client(aws_url: str) -> Callable[[str], Any]:
    """Make a client of moto's AWS, once for all tests."""
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    return cache(partial(session.client, endpoint_url=aws_url))


@pytest.fixture(scope="session")
def deployed(serving: postgres.Database, aws_url: str, client: Callable[[str], Any]) -> dict[str, str]:
    """What the deployment makes: secrets, buckets, bus and schedule group. Returns the functions' environment."""
    r2 = {"endpointUrl": aws_url, "bucket": R2_BUCKET, "accessKeyId": "c", "secretAccessKey": "d"}
    contents = {
        "database": serving.secret,
        "jwt": {"jwtSecret": JWT_SECRET},
        "location": {"locationKey": LOCATION_KEY},
        "r2": r2,
    }
    for bucket in (R2_BUCKET, UPLOAD_BUCKET):
        client("s3").create_bucket(Bucket=bucket)
    client("events").create_event_bus(Name=SETTINGS["EVENT_BUS"])
    client("scheduler").create_schedule_group(Name=SETTINGS["SCHEDULE_GROUP"])
    create = client("secretsmanager").create_secret
    made = {name: create(Name=name, SecretString=json.dumps(content)) for name, content in contents.items()}
    arns = {f"{name.upper()}_SECRET_ARN": secret["ARN"] for name, secret in made.items()}
    return SETTINGS | arns | {"AWS_ENDPOINT_URL": aws_url}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for AWS than in service: a busy machine is no fault of what is tested."""
    for name in ("SECRETS", "SCHEDULER", "EVENT_BUS", "STORES"):
        monkeypatch.setattr(clients, name, replace(getattr(clients, name), read_seconds=30))


@pytest.fixture
def environment(deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A function's environment. Each test starts without a schedule, an object, a connection or a secret that was read.

    A test that made clients of AWS anew (`clients.start_anew`) may have pointed them elsewhere, and leaves none.
    """
    for name, value in deployed.items():
        monkeypatch.setenv(name, value)
    for backends in scheduler_backends.values():
        for backend in backends.values():
            for group in backend.schedule_groups.values():
                group.schedules.clear()
    for stores in s3_backends.values():
        for store in stores.values():
            for bucket in store.buckets.values():
                bucket.keys.clear()
    session = clients._session()
    forget()
    yield
    forget()
    if clients._session() is not session:
        clients.start_anew()


@pytest.fixture(scope="session")
def own_connection(migrated: postgres.Database) -> Iterator[Connection]:
    """The tests' own, beside those of the functions; one for all tests, because making it takes longer than its use."""
    with closing(migrated.connect()) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def world(
    serving: postgres.Database, own_connection: Connection, client: Callable[[str], Any], environment: None
) -> World:
    world = World(serving, own_connection, client("s3"), client("scheduler"))
    world.begin_anew()
    return world


@pytest.fixture
def phone(world: World) -> Phone:
    """The phone of the entitled member."""
    return Phone()


@pytest.fixture
def profile(phone: Phone) -> None:
    phone.create_profile()


@pytest.fixture
def statements(own_connection: Connection, workspace: Workspace) -> Iterator[Callable[[], list[str]]]:
    """What the functions sent to the server since this fixture was set up, from the server's own log."""
    logging = f'ALTER DATABASE "{own_connection.info.dbname}" {{}}'
    log = workspace.logs / "postgresql.log"
    with own_connection.cursor() as cursor:
        cursor.execute(logging.format("SET log_statement = 'all'"))  # of connections that are opened from now on
        start = log.stat().st_size
        yield lambda: re.split(r"LOG: +(?:statement|execute [^:]*): ", log.read_bytes()[start:].decode())[1:]
        cursor.execute(logging.format("RESET log_statement"))


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


@pytest.fixture
def host(new_database: NewDatabase, host_template: postgres.Database) -> postgres.Database:
    """A database of the main app that was not migrated yet."""
    return new_database("host", host_template.dbname)


@pytest.fixture
def upgraded(new_database: NewDatabase, upgraded_template: postgres.Database) -> postgres.Database:
    """A database of the main app after all migrations."""
    return new_database("host", upgraded_template.dbname)


@pytest.fixture
def served(
    phone: Phone, host: postgres.Database, serving: postgres.Database, monkeypatch: pytest.MonkeyPatch
) -> postgres.Database:
    """The host's database, as the one that the functions use."""
    login = secrets.DatabaseSecret.model_validate(serving.secret | {"dbname": host.dbname})
    monkeypatch.setattr(secrets.database_secret, "read", lambda **_: login)
    return host


@pytest.fixture(scope="session")
def new_structure(upgraded_template: postgres.Database) -> list[tuple[Any, ...]]:
    """What a new database has after the migrations."""
    return structure(upgraded_template)
