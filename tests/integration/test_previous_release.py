"""The release before this one: it works on the schema of this one (what a rollback deploys, and what serves meanwhile),
and the apps that were made for it work with this one.

`tools/ops/previous-release.txt` names it by its commit; its package is taken from git.
"""

import fnmatch
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import previous_release
from tests.support.environment import JWT_SECRET, LOCATION_KEY, R2_BUCKET, UNREACHABLE
from tests.support.phone import Phone
from tests.support.world import World
from tools.contract import events
from tools.contract.compatibility import but_newly_told, incompatibilities, newly_told
from tools.contract.document import FILE
from tools.local import postgres
from tools.local.workspace import REPOSITORY

pytestmark = pytest.mark.slow  # whole releases

COMMIT = (REPOSITORY / "tools/ops" / "previous-release.txt").read_text().strip()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the previous release."""
    known = subprocess.run(
        ["git", "cat-file", "-e", f"{COMMIT}^{{commit}}"], cwd=REPOSITORY, capture_output=True, check=False
    )
    if known.returncode:
        pytest.skip(f"the previous release {COMMIT} is not in this clone, which is shallow: git fetch --unshallow")
    folder = tmp_path_factory.mktemp("release")
    archive = subprocess.run(
        ["git", "archive", COMMIT, "layers", "functions", "migrations", "docs/openapi.json", "docs/events"],
        cwd=REPOSITORY, capture_output=True, check=True,
    )  # fmt: skip
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


@pytest.fixture
def call(
    release: Path, environment: None, client: Callable[[str], Any], aws_url: str
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Call functions of the release one after the other, as the entitled member; what each made of it."""
    r2 = {"endpointUrl": aws_url, "bucket": R2_BUCKET, "accessKeyId": "c", "secretAccessKey": "d"}
    secrets = client("secretsmanager")
    # One secret for everything, as it was up to this release.
    text = json.dumps({"jwtSecret": JWT_SECRET, "locationKey": LOCATION_KEY, "r2": r2})
    app = secrets.create_secret(Name="app", SecretString=text)["ARN"]

    def run(*functions: str, **variables: str) -> dict[str, Any]:
        path = os.pathsep.join([str(release / "layers" / "after_hours" / "python"), str(release)])
        own = {"PYTHONPATH": path, "APP_SECRET_ARN": app, "JWT_SECRET": JWT_SECRET, "AWS_REGION": "us-east-1"}
        result = subprocess.run(
            [sys.executable, previous_release.__file__, str(release), *functions],
            env=os.environ | own | variables,
            capture_output=True, text=True, check=False, cwd=release,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
        return {function: line[function] for line in lines for function in functions if function in line}

    yield run
    secrets.delete_secret(SecretId=app, ForceDeleteWithoutRecovery=True)


def test_it_serves_an_evening_from_joining_to_leaving(call: Callable[..., dict[str, Any]], world: World) -> None:
    said = call(
        "create_profile", "get_profile", "update_profile", "create_preferences", "get_preferences",
        "update_preferences", "request_photo_upload", "process_photo", "get_photo", "start_session", "get_session",
        "extend_session", "expire_session", "end_session", "sweep", "delete_photo", "delete_profile",
    )  # fmt: skip
    assert said.pop("process_photo")["outcomes"] == ["ready"]
    assert said.pop("expire_session")["outcome"] == "rescheduled"
    assert said.pop("sweep")["left"] == {}
    created = {"create_profile", "create_preferences", "request_photo_upload", "start_session"}
    gone = {"delete_photo", "delete_profile"}
    assert said == {function: 201 if function in created else 204 if function in gone else 200 for function in said}
    assert len(said) == 14
    assert world.counts("after_hours_profiles", "device_fingerprints", "after_hours_domain_events") == [0, 0, 0]


def test_no_app_that_was_made_for_it_is_broken(release: Path) -> None:
    old = json.loads((release / "docs" / "openapi.json").read_text())
    reasons = incompatibilities(old, json.loads(FILE.read_text()))
    broken = but_newly_told(reasons)
    assert not broken, "\n".join(broken)
    stale = [told for told in newly_told() if not fnmatch.filter(reasons, told)]
    assert not stale, f"tools/contract/newly_told.txt lists what does not differ: {stale}"


def test_no_consumer_of_its_events_is_broken(release: Path) -> None:
    old = {file.stem: json.loads(file.read_text()) for file in (release / "docs" / "events").glob("*.json")}
    assert old
    assert events.incompatibilities(old, events.published()) == []


def test_its_migrations_leave_the_newer_schema_as_it_is(
    call: Callable[..., dict[str, Any]], world: World, migrated: postgres.Database, client: Callable[[str], Any]
) -> None:
    """A rollback deploys it, and runs them: a revision that they do not know is no failure."""
    [(newest,)] = world.rows("SELECT version_num FROM after_hours_alembic_version")
    owner = client("secretsmanager").create_secret(Name="owner", SecretString=json.dumps(migrated.secret))["ARN"]
    said = call("migrate_database", DATABASE_SECRET_ARN=owner)
    client("secretsmanager").delete_secret(SecretId=owner, ForceDeleteWithoutRecovery=True)
    assert said == {"migrate_database": {"revision": newest}}


WAITING = "SELECT kind, count(*) FROM after_hours_outbox GROUP BY 1 ORDER BY 1"
ONE_OF_EACH = [("event", 1), ("r2", 1), ("schedules", 1), ("uploads", 1)]
UNWANTED = "ARRAY['r2'], ARRAY['after-hours-photos/local-entitled/1.jpg'], interval '0'"
DUTIES = ("eventsPublished", "photosDeleted", "schedulesRepaired", "originalsDeleted")


def test_this_release_does_what_it_leaves(call: Callable[..., dict[str, Any]], world: World) -> None:
    """Its events and deletions, written by SQL functions, and its schedules, which it makes itself where it can."""
    call("create_profile", "start_session")
    assert world.rows(WAITING) == []
    silent = {f"AWS_ENDPOINT_URL_{service}": UNREACHABLE for service in ("SCHEDULER", "EVENTBRIDGE", "S3")}
    call("extend_session", "request_photo_upload", "delete_photo", **silent)
    world.rows(f"SELECT after_hours_must_go({UNWANTED})")
    assert world.rows(WAITING) == ONE_OF_EACH
    world.leases_run_out()
    swept = world.sweep()
    assert [swept[duty] for duty in DUTIES] == [1, 1, 1, 1]
    assert world.rows(WAITING) == []
    assert len(world.schedules()) == 2


def test_a_rollback_loses_nothing(call: Callable[..., dict[str, Any]], phone: Phone, world: World) -> None:
    phone.create_profile()
    with world.down("SCHEDULER"), world.down("EVENTBRIDGE"), world.down("S3"):
        phone.start()
        phone.request_upload()
        phone.delete_photo()
    world.rows(f"SELECT after_hours_put_deletions({UNWANTED})")
    world.leases_run_out()
    ids = world.rows("SELECT key FROM after_hours_outbox WHERE kind = 'event'")
    assert world.rows(WAITING) == ONE_OF_EACH
    assert [str(id_) for (id_,) in world.rows("SELECT id FROM after_hours_domain_events")] == [key for (key,) in ids]
    world.rows("UPDATE after_hours_sessions SET schedule_due_at = now()")  # half a minute passes
    swept = call("sweep")["sweep"]
    assert [swept[duty] for duty in DUTIES] == [1, 1, 1, 1]
    assert len(world.schedules()) == 2
    assert world.rows(WAITING) == []
