"""What a newcomer meets first: `make run` says what it should, keeps to itself, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import jwt
import psutil
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from local.place import REPOSITORY, Place
from local.run import calls, invitation
from local.stack import Stack
from tests.e2e.conftest import NewMember, processes_of
from tests.places import temporary_place
from tests.waiting import until


def test_stack_file_is_complete(stack: Stack, place: Place) -> None:
    written = json.loads(place.stack_file.read_text())
    assert set(written) >= {
        "apiUrl", "awsEndpointUrl", "databaseUrl", "jwtSecret", "uploadBucket", "r2Bucket", "r2EndpointUrl",
        "scheduleGroup", "eventBus", "functions", "users",
    }  # fmt: skip
    assert written["apiUrl"].endswith("/api/after-hours")
    assert set(written["users"]) == {"entitled", "other", "noPremium", "unverified", "noConsent"}
    assert Stack.load(place) == stack
    assert place.stack_file.stat().st_mode & 0o077 == 0


def test_stack_file_names_every_function_as_deployed(stack: Stack) -> None:
    folders = {handler.parent.name for handler in (REPOSITORY / "functions").glob("*/handler.py")}
    assert set(stack.functions) == folders
    client = boto3.client("lambda", **stack.aws)
    for name in stack.functions.values():
        assert client.get_function(FunctionName=name)["Configuration"]["FunctionName"] == name


def test_schedule_group_exists(stack: Stack) -> None:
    group = boto3.client("scheduler", **stack.aws).get_schedule_group(Name=stack.schedule_group)
    assert group["State"] == "ACTIVE"


def test_tokens_last_a_day(stack: Stack) -> None:
    for user in stack.users.values():
        claims = jwt.decode(user.token, stack.jwt_secret, algorithms=["HS256"])
        assert claims["userId"] == user.id
        assert claims["exp"] - time.time() > 23 * 60 * 60


def test_database_demands_the_password(stack: Stack, connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert cursor.fetchall() == [("scram-sha-256",)]


def test_everything_listens_on_loopback_only(stack: Stack, place: Place, new_member: NewMember) -> None:
    new_member().call("GET", "/session")  # so that there is a worker, too
    listening = {
        (process.name(), socket.laddr.ip)
        for process in processes_of(place)
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert len(listening) >= 2
    assert {address for _, address in listening} == {"127.0.0.1"}


def test_the_printed_lines_work_as_they_stand_again_and_again(stack: Stack, place: Place) -> None:
    lines = calls(stack, place.photo)
    assert all(line in invitation(stack, place) for line in lines.values())
    for _ in range(2):
        said = [
            subprocess.run(["bash", "-c", line], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
            for line in lines.values()
        ]
        profile, taken, sent, seen, preferences, *sessions, left = said
        assert json.loads(profile)["profile"]["userId"] == stack.users["entitled"].id
        assert "'GPS': 4" in taken
        assert sent == ""
        assert "status: ready" in seen
        assert "'upright': True, 'progressive': True, 'EXIF': 0, 'GPS': 0, 'other metadata': []" in seen
        assert json.loads(preferences)["preferences"]["maxDistanceKm"] == 5
        assert len({json.loads(session)["session"]["id"] for session in sessions}) == 1
        assert left.strip() == ""


def test_exported_tokens_work_as_printed(stack: Stack, place: Place) -> None:
    exports = [line for line in invitation(stack, place).splitlines() if line.startswith("export ")]
    call = 'curl -sS -H "Authorization: Bearer $TOKEN_NO_CONSENT" "$API/session"'
    answer = subprocess.run(["bash", "-c", "\n".join([*exports, call])], capture_output=True, check=True)
    assert json.loads(answer.stdout)["code"] == "CONSENT_REQUIRED"


def test_demo_passes_and_leaves_no_trace(stack: Stack, place: Place, connection: Connection) -> None:
    before = _everything(connection)
    demo = subprocess.run(
        [sys.executable, "-m", "local.demo", "--place", place.root], cwd=REPOSITORY, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (demo.returncode, demo.stderr) == (0, "")
    assert demo.stdout.splitlines()[-1].endswith("All as promised.")
    assert _everything(connection) == before


def test_second_system_in_the_same_place_is_refused(stack: Stack, place: Place) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "local.run", "--place", place.root], cwd=REPOSITORY, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert "already running" in second.stderr
    assert Stack.load(place) == stack


@pytest.fixture
def elsewhere() -> Iterator[Place]:
    with temporary_place() as place:
        yield place


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_start_leaves_no_process(elsewhere: Place, number: signal.Signals) -> None:
    with _starting(elsewhere) as run:
        until(lambda: "cdk-synth" in _names(elsewhere))
        run.send_signal(number)
        run.send_signal(number)  # an impatient second one must not cut the cleaning short
        assert run.wait() == 0
    until(lambda: not processes_of(elsewhere))
    assert not elsewhere.stack_file.exists()
    assert list(elsewhere.temporary.iterdir()) == []


def test_start_after_a_crash_ends_what_was_left_behind(elsewhere: Place) -> None:
    with _starting(elsewhere) as run:
        until(lambda: "ministack" in _names(elsewhere))
        run.kill()
        run.wait()
    left_behind = set(processes_of(elsewhere))
    assert left_behind
    with _starting(elsewhere) as run:
        said = _said_until(run, "synthesizing")
        until(lambda: left_behind.isdisjoint(processes_of(elsewhere)))
        run.send_signal(signal.SIGINT)
        run.communicate()
    assert "ended what an earlier run left behind: " in said
    until(lambda: not processes_of(elsewhere))


def test_reused_pid_is_not_ours(elsewhere: Place) -> None:
    """After a reboot the recorded pid may be anybody's."""
    bystander = {"name": "ministack", "pid": os.getpid(), "birth": 1.0, "stop_signal": signal.SIGKILL}
    elsewhere.processes_file.write_text(json.dumps([bystander]))
    with _starting(elsewhere) as run:
        said = _said_until(run, "synthesizing")
        run.send_signal(signal.SIGINT)
        run.communicate()
    assert "left behind" not in said


def test_nothing_runs_and_it_says_so(tmp_path: Path) -> None:
    for module in ("local.demo", "local.invoke"):
        arguments = ["start_session"] if module == "local.invoke" else []
        answer = subprocess.run(
            [sys.executable, "-m", module, "--place", tmp_path, *arguments], cwd=REPOSITORY, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 1
        assert "make run" in answer.stderr


@contextmanager
def _starting(place: Place) -> Iterator[subprocess.Popen[str]]:
    """A `make run` in a place of its own, surely gone at the end."""
    command = [sys.executable, "-m", "local.run", "--place", str(place.root)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as run:
        try:
            yield run
        finally:
            if run.poll() is None:
                run.terminate()
                run.wait()


def _said_until(run: subprocess.Popen[str], text: str) -> str:
    """Read what it says up to the line with this text; fails when it ends without a word of it."""
    assert run.stdout
    said = ""
    for line in run.stdout:
        said += line
        if text in line:
            return said
    return pytest.fail(f"ended without {text!r}: {said}")


def _names(place: Place) -> set[str]:
    try:
        return {entry["name"] for entry in json.loads(place.processes_file.read_text())}
    except FileNotFoundError:
        return set()


def _everything(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """The rows of all tables of the members."""
    rows = {}
    with connection.cursor() as cursor:
        for table in ("users", "profiles", "user_subscriptions", "after_hours_profiles", "after_hours_sessions",
                      "after_hours_photo_uploads", "after_hours_removals"):  # fmt: skip
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
            rows[table] = cursor.fetchall()
    return rows
