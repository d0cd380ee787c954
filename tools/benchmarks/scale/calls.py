"""What each endpoint's handler and each duty of the sweep costs in a database with few or many ended sessions.

Everything but AWS is real: the event, the token, the access check, the statements. A fake AWS answers at once.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, get_args

import psycopg2.extras
from after_hours.foundation import database, secrets, settings, storage
from after_hours.foundation.database import Database
from after_hours.foundation.observability import logger
from after_hours.foundation.storage import Store
from after_hours.sweep import backlog
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from infra.endpoints import ENDPOINTS
from tools.benchmarks import fake_aws, fake_services
from tools.benchmarks.scale import duties
from tools.local import members, plans, postgres
from tools.local.handlers import Context, load
from tools.local.samples import samples

ROUNDS = 40
DUE_AT_ONCE = 3
GROWING = {
    "after_hours_sessions", "after_hours_profiles", "after_hours_preferences", "after_hours_photo_uploads",
    "device_fingerprints", "after_hours_matches", "users", "profiles", "user_subscriptions",
}  # fmt: skip

# The order of the endpoints in which each call of a member finds what it needs.
_LIFE = (
    "get_profile", "update_profile", "get_preferences", "update_preferences",
    "get_photo", "request_photo_upload", "delete_photo",
    "start_session", "get_session", "extend_session", "end_session",
    "delete_profile", "create_profile", "create_preferences",
)  # fmt: skip
_DELETE_ACCOUNT = "DELETE FROM users WHERE id = %(user_id)s"


@dataclass(frozen=True)
class Cost:
    """The time of some rounds, and what one more round before them read from one end to the other."""

    milliseconds: float  # the median
    fastest_milliseconds: float
    sequential_scans: list[str] = field(default_factory=list)  # of tables that grow


class Call:
    """Something to measure. `prepare` runs before each call of `make`, and is not measured."""

    def __init__(self, name: str, make: Callable[[], object], prepare: Callable[[], None] = lambda: None) -> None:
        self.name, self.make, self.prepare = name, make, prepare

    def milliseconds(self) -> float:
        self.prepare()
        began = time.perf_counter()
        self.make()
        return (time.perf_counter() - began) * 1000


def measure(server: postgres.Database, first: int) -> Iterator[tuple[str, Cost]]:
    """Yield the cost of each call; members from the number `first` on make them, two hundred at most."""
    _deploy(server)
    connection = server.connect()
    connection.autocommit = True
    psycopg2.extras.register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
    for call in [*_endpoints(first), _account_deletion(first + 50), *_duties(connection, first + 100)]:
        call.prepare()
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            logger.registered_handler.stream = nowhere  # type: ignore[attr-defined]
            with _explaining(connection) as sent:
                call.make()
            spent = [call.milliseconds() for _ in range(ROUNDS)]
        scans = {table for execution in sent.values() for table in execution.sequential_scans()}
        yield call.name, Cost(round(statistics.median(spent), 2), round(min(spent), 2), sorted(scans & GROWING))
    connection.close()


def number_of_calls() -> int:
    return len(ENDPOINTS) + 1 + len(duties.OF_LIVE_SESSIONS) + len(duties.OF_OTHER_THINGS) + 1


def _endpoints(first: int) -> Iterator[Call]:
    for endpoint in sorted(ENDPOINTS, key=lambda endpoint: _LIFE.index(endpoint.function)):
        handler = partial(load(endpoint.function).handler, context=Context(endpoint.function))
        requests = _requests(endpoint.function, first)
        yield Call(f"{endpoint.method} {endpoint.path}", partial(_answer, handler, requests))


def _requests(function: str, first: int) -> Iterator[dict[str, Any]]:
    """Yield the sample request of one member after the other."""
    for number in count(first):
        yield samples()[function]["valid"].event(members.token(f"member-{number}", fake_aws.JWT_SECRET))


def _answer(handler: Callable[[dict[str, Any]], dict[str, Any]], requests: Iterator[dict[str, Any]]) -> None:
    answer = handler(next(requests))
    if answer["statusCode"] >= HTTPStatus.BAD_REQUEST:
        raise RuntimeError(answer["body"])


def _account_deletion(first: int) -> Call:
    numbers = count(first)

    def delete() -> None:
        database.shared().execute(_DELETE_ACCOUNT, {"user_id": f"member-{next(numbers)}"})

    return Call("the main app deletes an account", delete)


def _duties(connection: Connection, first: int) -> Iterator[Call]:
    for position, duty in enumerate(load("sweep").DUTIES):
        numbers = range(first + position * DUE_AT_ONCE, first + (position + 1) * DUE_AT_ONCE)
        due = {"members": [f"member-{number}" for number in numbers]}
        prepare = partial(_run, connection, duties.statements(duty.name), due)
        yield Call(f"duty {duty.name}", partial(_do, duty), prepare)
    yield Call("what is left", lambda: backlog.report(database.shared()))


def _do(duty: Any) -> None:  # noqa: ANN401 (the handler's Duty)
    if not duty.do(database.shared(), time.monotonic() + 60):
        raise RuntimeError(f"{duty.name} found nothing to do")


@contextmanager
def _explaining(connection: Connection) -> Iterator[dict[str, plans.Execution]]:
    """Explain each statement that the block sends, on a connection of its own, just before it is sent."""
    sent: dict[str, plans.Execution] = {}
    run = Database._run  # noqa: SLF001

    def explaining(self: Database, statement: str, parameters: Any, read: Any) -> Any:  # noqa: ANN401
        if (name := _name(statement)) not in sent:
            sent[name] = plans.execution(connection, statement, parameters)
        return run(self, statement, parameters, read)

    Database._run = explaining  # type: ignore[method-assign]  # noqa: SLF001
    try:
        yield sent
    finally:
        Database._run = run  # type: ignore[method-assign]  # noqa: SLF001


def _name(statement: str) -> str:
    """Return the module and the constant of a statement of the package."""
    names = (
        f"{module.removeprefix('after_hours.')}.{name}"
        for module in sys.modules
        if module.startswith("after_hours.")
        for name, value in vars(sys.modules[module]).items()
        if value is statement
    )
    return next(names, "the main app's DELETE FROM users")


def _run(connection: Connection, statements: tuple[str, ...], parameters: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, parameters)


def _deploy(server: postgres.Database) -> None:
    """Make this process like one of a deployed function, with a fake AWS that answers at once."""
    os.environ |= dict.fromkeys(get_args(settings.Setting.__value__), "benchmark")
    os.environ |= {"AWS_DEFAULT_REGION": "eu-west-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    texts = fake_aws.secrets(server)
    os.environ |= {name: name for name in texts}
    secrets._text = lambda arn: json.dumps(texts[arn])  # noqa: SLF001 (there is no Secrets Manager to ask)
    fake_services.install(fake_services.Scheduler(lambda: None, are_there=True), fake_services.Bus(lambda: None))
    for store in Store:
        storage.bucket(store).client.delete_object = lambda **_: None  # type: ignore[method-assign,assignment]
