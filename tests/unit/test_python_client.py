"""The client that openapi-python-client generates is strictly typed, and reads each documented answer as its class."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from tools.contract.compatibility import resolved
from tools.contract.document import FILE

CALL = """
from after_hours_client import AuthenticatedClient
from after_hours_client.api.session import start_session
from after_hours_client.models import SessionAlreadyActive, SessionAnswer, StartSession, StartSessionDuration

def live_until(client: AuthenticatedClient) -> str | None:
    place = StartSession(duration=StartSessionDuration(15), latitude=40.7411, longitude=-73.9897)
    match start_session.sync(client=client, body=place):
        case SessionAnswer(session=session) | SessionAlreadyActive(session=session):
            return session.expires_at.isoformat()
        case _:
            return None
"""
PACKAGE = "after_hours_client"


def run(folder: Path, tool: str, *arguments: str | Path) -> None:
    command = [Path(sys.executable).with_name(tool), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def examples(document: Any) -> Any:
    """Yield each example of an answer: its operation's module in the client, the status and the body."""
    for operation in (each for path in document["paths"].values() for each in path.values()):
        name = re.sub("(?=[A-Z])", "_", operation["operationId"]).lower()
        module = f"{PACKAGE}.api.{operation['tags'][0]}.{name}"
        for status, response in operation["responses"].items():
            content = resolved(document, response).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                yield module, int(status), resolved(document, example)["value"]


@pytest.mark.slow
def test_it_is_strictly_typed_and_reads_each_documented_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--meta", "none", "--fail-on-warning", "--path", FILE, "--output-path", PACKAGE)
    run(tmp_path, "openapi-python-client", "generate", *options)
    (tmp_path / "call.py").write_text(CALL)
    run(tmp_path, "mypy", "--config-file=", "--strict", "--follow-imports=silent", "call.py")
    monkeypatch.syspath_prepend(tmp_path)
    every = list(examples(json.loads(FILE.read_text())))
    assert len(every) > 100
    for module, status, body in every:
        answer = import_module(module)._parse_response(client=None, response=httpx.Response(status, json=body))
        assert answer.to_dict().keys() == body.keys()
        assert "code" not in body or type(answer).__name__ == body["code"].title().replace("_", ""), body
