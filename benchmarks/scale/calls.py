"""What a member's call and a duty with nothing to do cost, beside few and beside many ended sessions."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from after_hours import (
    backlog,
    config,
    deletions,
    domain_events,
    leaving,
    photos,
    preferences,
    profiles,
    retention,
    safety_net,
    schedules,
    sessions,
    uploads,
)
from after_hours.database import Database
from after_hours.storage import Store
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from local import postgres
from local.members import Member, remove

ROUNDS = 15
GROWING = (
    "after_hours_sessions", "after_hours_profiles", "after_hours_preferences", "after_hours_photo_uploads",
    "device_fingerprints", "after_hours_matches", "users", "profiles", "user_subscriptions",
)  # fmt: skip
_SCANS = "SELECT coalesce(sum(seq_scan), 0)::int FROM pg_stat_user_tables WHERE relname = ANY(%s)"
START = sessions.StartSession.model_validate({"duration": 30, "latitude": 52.52, "longitude": 13.40})
EXTEND = sessions.ExtendSession.model_validate({"additionalMinutes": 15})


@dataclass(frozen=True)
class Cost:
    """The median of some rounds, and how many tables that grow were read from one end to the other meanwhile."""

    milliseconds: float
    sequential_scans: int


def _soon() -> float:
    return time.monotonic() + 60


MEMBER_CALLS: dict[str, Callable[[Database, str], object]] = {
    "GET /profile": profiles.read,
    "PATCH /profile": lambda database, who: profiles.update(
        database, who, profiles.UpdateProfile.model_validate({"description": "x"})
    ),
    "GET /preferences": preferences.read,
    "PATCH /preferences": lambda database, who: preferences.update(
        database, who, preferences.UpdatePreferences.model_validate({"minAge": 20})
    ),
    "GET /profile/photo": photos.read,
    "POST /profile/photo": uploads.request,
    "DELETE /profile/photo": photos.delete,
    "POST /session/start": lambda database, who: sessions.start(database, who, START),
    "GET /session": sessions.current,
    "POST /session/extend": lambda database, who: sessions.extend(database, who, EXTEND),
    "POST /session/end": sessions.end,
    "DELETE /profile": leaving.leave,
    "POST /profile": lambda database, who: profiles.create(database, who, profiles.CreateProfile()),
    "POST /preferences": lambda database, who: preferences.create(database, who, preferences.CreatePreferences()),
}
DUTIES: dict[str, Callable[[Database], object]] = {
    "expired": lambda database: safety_net.expire_overdue(database, _soon()),
    "lapsed": lambda database: safety_net.end_lapsed(database, _soon()),
    "warned": lambda database: safety_net.warn_due(database, _soon()),
    "placesErased": lambda database: safety_net.erase_places(database, _soon()),
    "eventsPublished": lambda database: domain_events.publish_due(database, _soon()),
    "schedulesRepaired": lambda database: schedules.repair(database, _soon()),
    "uploadsFailed": lambda database: uploads.fail_stuck(database, _soon()),
    "photosDeleted": lambda database: deletions.carry_out_due(database, _soon(), store=Store.R2),
    "uploadsForgotten": lambda database: retention.forget_uploads(database, _soon()),
    "departedForgotten": lambda database: retention.forget_departed(database, _soon()),
    "sessionsForgotten": lambda database: retention.forget_sessions(database, _soon()),
    "backlog": backlog.report,
}


def measure(server: postgres.Database, connection: Connection, first: int) -> dict[str, Cost]:
    """Return what each call costs, made by members from the number `first` on; nothing outside takes any time."""
    _settings()
    database = Database(lambda **_: config.DatabaseSecret.model_validate(server.secret))
    costs = {
        name: _cost(connection, [partial(call, database, f"member-{n}") for n in range(first, first + ROUNDS)])
        for name, call in MEMBER_CALLS.items()
    }
    gone = [Member(f"member-{n}", "A", 30, "Female", "Straight") for n in range(first + 50, first + 50 + ROUNDS)]
    costs["the main app deletes an account"] = _cost(
        connection, [partial(remove, connection, member) for member in gone]
    )
    costs |= {f"duty {name}": _cost(connection, [partial(duty, database)] * ROUNDS) for name, duty in DUTIES.items()}
    database.close()
    return costs


def _cost(connection: Connection, calls: list[Callable[[], object]]) -> Cost:
    before, spent = _scans(connection), []
    for call in calls:
        began = time.perf_counter()
        call()
        spent.append((time.perf_counter() - began) * 1000)
    return Cost(round(statistics.median(spent), 2), _scans(connection) - before)


def _scans(connection: Connection) -> int:
    time.sleep(1.1)  # a backend tells its counts once a second at most
    with connection, connection.cursor() as cursor:
        cursor.execute(_SCANS, (list(GROWING),))
        [(scans,)] = cursor.fetchall()
    return int(scans)


def _settings() -> None:
    os.environ |= dict.fromkeys(map(str.upper, config.Settings.model_fields), "benchmark")
    os.environ |= {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    r2 = {"endpointUrl": "http://r2.example", "bucket": "b", "accessKeyId": "a", "secretAccessKey": str(uuid4())}
    keys = config.AppSecret.model_validate({"jwtSecret": "j" * 32, "locationKey": "l" * 32, "r2": r2})
    config.app_secret.read = lambda **_: keys  # type: ignore[method-assign]
    domain_events.send = lambda events: [event["id"] for event in events]
    schedules.carry_out = lambda *_: None
    deletions.carry_out = lambda *_: None
