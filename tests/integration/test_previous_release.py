"""The release before this one: it works on the schema of this one (what a rollback deploys, and what serves meanwhile),
and the apps that were made for it work with this one.

`tools/ops/previous-release.txt` names it by its commit; its package is taken from git.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support import handlers, previous_release
from tests.support.environment import JWT_SECRET, LOCATION_KEY, R2_BUCKET, UNREACHABLE
from tests.support.phone import Phone
from tests.support.world import World, schedules_of
from tools.contract import __main__ as contract
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
    unpack = f"git archive {COMMIT} layers functions migrations | tar -x --directory {folder}"
    subprocess.run(["bash", "-o", "pipefail", "-c", unpack], cwd=REPOSITORY, check=True)
    return folder


type Serving = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def serving_release(
    release: Path, environment: None, client: Callable[[str], Any], aws_url: str, monkeypatch: pytest.MonkeyPatch
) -> Serving:
    """Have the release's functions answer phones and run jobs: `with serving_release(AWS_ENDPOINT_URL_S3=…): …`."""
    r2 = {"endpointUrl": aws_url, "bucket": R2_BUCKET, "accessKeyId": "c", "secretAccessKey": "d"}
    # One secret for everything, as it was up to this release.
    secret = new_secret(client, {"jwtSecret": JWT_SECRET, "locationKey": LOCATION_KEY, "r2": r2})
    path = os.pathsep.join([str(release / "layers" / "after_hours" / "python"), str(release)])

    @contextmanager
    def serving(**variables: str) -> Iterator[None]:
        own = {"PYTHONPATH": path, "APP_SECRET_ARN": secret, "AWS_REGION": "us-east-1"}
        with subprocess.Popen(
            [sys.executable, previous_release.__file__], cwd=release, env=os.environ | own | variables,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process, monkeypatch.context() as patch:  # fmt: skip

            def run(function: str, event: Any) -> Any:
                print(json.dumps([function, event]), file=process.stdin, flush=True)
                for line in process.stdout or ():  # its log is there, too
                    if line.startswith('{"returned": '):
                        return json.loads(line)["returned"]
                raise AssertionError(f"{function} has failed")

            patch.setattr(handlers, "load", lambda function: lambda event, _: run(function, event))
            yield

    return serving


def new_secret(client: Callable[[str], Any], content: dict[str, Any]) -> str:
    arn: str = client("secretsmanager").create_secret(Name=str(uuid4()), SecretString=json.dumps(content))["ARN"]
    return arn


def test_no_app_and_no_consumer_of_events_that_was_made_for_it_is_broken(
    release: Path,  # skips where git does not have it
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["make compatible", "--against", COMMIT])
    with pytest.raises(SystemExit) as ended:
        contract.main()
    assert ended.value.code is None


# What is in the outbox, and how much of it a sweep does
WAITING = "SELECT kind, count(*) FROM after_hours_outbox GROUP BY 1 ORDER BY 1"
ONE_OF_EACH = [("event", 1), ("r2", 1), ("schedules", 1), ("uploads", 1)]
DUTIES = ("eventsPublished", "photosDeleted", "schedulesRepaired", "originalsDeleted")
UNWANTED = "ARRAY['r2'], ARRAY['after-hours-photos/local-entitled/1.jpg'], interval '0'"
OUTSIDE = ("SCHEDULER", "EVENTBRIDGE", "S3")


def test_it_serves_an_evening_and_this_release_does_what_it_leaves(
    serving_release: Serving, phone: Phone, world: World
) -> None:
    """SQL functions write its events and deletions. It makes its schedules itself, where it can."""
    with serving_release():
        phone.create_profile()
        phone.update_profile(description="a text")
        phone.create_preferences()
        phone.update_preferences(maxAge=40)
        assert (phone.profile().description, phone.preferences().max_age) == ("a text", 40)
        assert world.arrive(phone.send()) == "ready"
        assert phone.photo().status == "ready"
        phone.delete_photo()
        session = phone.start()
        assert phone.session()
        assert world.fire("expiry", session.id) == "rescheduled"
    assert world.rows(WAITING) == []
    with serving_release(**{f"AWS_ENDPOINT_URL_{name}": UNREACHABLE for name in OUTSIDE}):
        phone.extend()
        phone.request_upload()
        phone.delete_photo()
    world.rows(f"SELECT after_hours_must_go({UNWANTED})")
    assert world.rows(WAITING) == ONE_OF_EACH
    world.leases_run_out()
    swept = world.sweep()
    assert [swept[duty] for duty in DUTIES] == [1, 1, 1, 1]
    assert world.schedules() == schedules_of(phone.session() or session)
    with serving_release():
        phone.end()
        phone.leave()
        assert world.sweep()["left"] == {}
    assert world.sweep()["schedulesRepaired"] == 1  # it has deleted them itself, but the task is none that it knows
    assert world.counts("after_hours_profiles", "device_fingerprints", "after_hours_outbox") == [0, 0, 0]


def test_a_rollback_loses_nothing(
    serving_release: Serving, phone: Phone, world: World, migrated: postgres.Database, client: Callable[[str], Any]
) -> None:
    """It runs the release's migrations, too: a revision that they do not know is no failure."""
    [(newest,)] = world.rows("SELECT version_num FROM after_hours_alembic_version")
    with serving_release(DATABASE_SECRET_ARN=new_secret(client, migrated.secret)):
        assert world.run("migrate_database") == {"revision": newest}
    phone.create_profile()
    with world.down(*OUTSIDE):
        session = phone.start()
        phone.request_upload()
        phone.delete_photo()
    world.rows(f"SELECT after_hours_put_deletions({UNWANTED})")
    world.leases_run_out()
    assert world.rows(WAITING) == ONE_OF_EACH
    world.rows("UPDATE after_hours_sessions SET schedule_due_at = now()")  # half a minute passes
    with serving_release():
        swept = world.sweep()
    assert [swept[duty] for duty in DUTIES] == [1, 1, 1, 1]
    assert world.rows(WAITING) == []
    assert world.schedules() == schedules_of(session)
