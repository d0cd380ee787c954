"""`make run` while its code is edited, in the copy that it was started from. Last, because functions change."""

import io
import re
import zipfile

import boto3

from tests.support.system import Command, System
from tools.local.stack import Stack

START = {"duration": 45, "latitude": 52.5200081, "longitude": 13.4049541}


def test_a_rule_that_is_edited_is_another_rule_while_it_runs(system: System, stack: Stack) -> None:
    token = stack.users["other"].token
    stack.call("POST", "/profile", token=token, body={})
    assert stack.call("POST", "/session/start", token=token, body=START).status == 400
    rules = system.repository / "layers/after_hours/python/after_hours/members/sessions.py"
    rules.write_text(rules.read_text().replace("ALLOWED_MINUTES = (15, 30, 60)", "ALLOWED_MINUTES = (15, 30, 45, 60)"))
    system.await_line("layers/after_hours: renewed .*start_session")
    assert stack.call("POST", "/session/start", token=token, body=START).status == 201


def test_an_edit_that_cannot_be_imported_changes_nothing(system: System, stack: Stack) -> None:
    (system.repository / "functions/get_profile/handler.py").write_text("import nothing_by_this_name\n")
    system.await_line("functions/get_profile: cannot be compiled or imported")
    assert stack.call("GET", "/profile", token=stack.users["entitled"].token).status < 500


def test_a_breakpoint_stops_the_debugger_and_no_call(system: System, stack: Stack, command: Command) -> None:
    handler = system.repository / "functions/get_session/handler.py"
    handler.write_text(handler.read_text().replace("    return {", '    breakpoint()\n    return {"edited": True, '))
    system.await_line("functions/get_session: renewed")
    assert stack.call("GET", "/session", token=stack.users["entitled"].token).body["edited"]
    stopped = command("invoke", "--here", "get_session", text="continue\n")
    assert (stopped.returncode, "(Pdb)" in stopped.stdout) == (0, True), stopped


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
