"""`make run` while its code is edited, in the copy that it was started from. Last, because functions change."""

import io
import re
import shutil
import zipfile

import boto3
import pytest

from tests.support.system import Command, System
from tests.support.waiting import until
from tools.local.stack import Stack

START = {"duration": 45, "latitude": 52.5200081, "longitude": 13.4049541}
RULES = "layers/after_hours/python/after_hours/members"


def test_a_rule_that_is_edited_is_another_rule_while_it_runs(system: System, stack: Stack) -> None:
    token = stack.users["other"].token
    stack.call("POST", "/profile", token=token, body={})
    assert stack.call("POST", "/session/start", token=token, body=START).status == 400
    rules = system.repository / RULES / "sessions.py"
    rules.write_text(rules.read_text().replace("ALLOWED_MINUTES = (15, 30, 60)", "ALLOWED_MINUTES = (15, 30, 45, 60)"))
    until(lambda: stack.call("POST", "/session/start", token=token, body=START).status == 201)
    system.await_line(r"sessions\.py: renewed .*start_session")


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("functions/get_profile/handler.py", "def handler(:"),
        ("functions/get_profile/handler.py", "no_handler = 1"),
        (f"{RULES}/profiles.py", "from after_hours.members.sessions import nothing_by_this_name\n"),
    ],
)
def test_an_edit_that_does_not_compile_or_import_changes_nothing(
    system: System, stack: Stack, file: str, edit: str
) -> None:
    right = (system.repository / file).read_text()
    system.printed.clear()
    (system.repository / file).write_text(edit + right * (RULES in file))
    system.await_line(f"{file}: cannot be compiled or imported")
    assert stack.call("GET", "/profile", token=stack.users["entitled"].token).status < 500
    (system.repository / file).write_text(right)


def test_a_breakpoint_stops_the_debugger_and_no_call(system: System, stack: Stack, command: Command) -> None:
    handler = system.repository / "functions/get_session/handler.py"
    edited = handler.read_text().replace("    return {", '    breakpoint()\n    return {"edited": True, ')
    handler.write_text(edited)
    until(lambda: "edited" in stack.call("GET", "/session", token=stack.users["entitled"].token).body)
    stopped = command("invoke", "--here", "get_session", text="continue\n")
    assert (stopped.returncode, "(Pdb)" in stopped.stdout) == (0, True), stopped


def test_what_only_a_deployment_can_change_is_said_to_wait_for_the_next_start(system: System, command: Command) -> None:
    waits = r"deployed at the next start \(make stop, then make run\)"
    for name in ("functions/get_added/handler.py", "infra/endpoints.py", "migrations/versions/9999_new.py"):
        file = system.repository / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(file.read_text() + "\n" if file.exists() else "")
        system.await_line(f"{name}: {waits}")
    shutil.copytree(system.repository / "events/get_session", system.repository / "events/get_added")
    assert re.fullmatch(f"get_added is new here, and {waits}\\.\n", command("invoke", "get_added").stderr)


def test_an_answer_that_no_function_gave_is_explained_in_the_terminal(system: System, stack: Stack) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("handler.py", "import nothing_by_this_name")
    functions = boto3.client("lambda", **stack.aws)
    functions.update_function_code(FunctionName=stack.functions["get_photo"], ZipFile=archive.getvalue())
    assert stack.call("GET", "/profile/photo", token=stack.users["entitled"].token).status == 502
    system.await_line(r"get_photo: \[ERROR\] .*No module named 'nothing_by_this_name'")


def test_a_second_run_in_the_same_folder_is_refused_in_one_sentence(command: Command) -> None:
    second = command("run")
    assert (second.returncode, second.stdout) == (1, "")
    assert re.fullmatch("A system is already running in .*make stop\n", second.stderr)
