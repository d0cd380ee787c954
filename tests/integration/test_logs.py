"""What is secret is never in a log: tokens, places, texts, device ids."""

import json
from collections.abc import Callable
from typing import Any

from local import members
from tests.support.environment import JWT_SECRET
from tests.support.handlers import Answer

type Call = Callable[..., Answer]

SECRETS = {"latitude": "52.5200081", "longitude": "13.4049541", "text": "a text for one night", "device": "device-4711"}


def story(call: Call, rows: Any, run_job: Any) -> None:
    call("create_profile", body={"description": SECRETS["text"]})
    call("update_profile", body={"description": SECRETS["text"] * 100})
    body = {
        "duration": 15,
        "latitude": float(SECRETS["latitude"]),
        "longitude": float(SECRETS["longitude"]),
        "deviceFingerprint": {"deviceId": SECRETS["device"], "deviceModel": SECRETS["device"]},
    }
    session = call("start_session", body=body).body["session"]
    call("start_session", body=body)
    call("start_session", body=body | {"duration": "15", SECRETS["device"]: 1})
    call("extend_session", body={"additionalMinutes": 15})
    run_job("expire_session", {"kind": "expiry", "sessionId": session["id"]})
    run_job("sweep")
    # A row that PostgreSQL refuses is quoted, whole, in its error message.
    rows("ALTER TABLE after_hours_sessions ADD CONSTRAINT nobody CHECK (ended_at IS NULL) NOT VALID")
    try:
        assert call("end_session").status == 500
    finally:
        rows("ALTER TABLE after_hours_sessions DROP CONSTRAINT nobody")
    call("end_session")


def test_the_logs_of_a_whole_story_hold_no_secret(
    call: Call, rows: Any, run_job: Any, output: Callable[[], str]
) -> None:
    story(call, rows, run_job)
    written = output()
    assert written.count('"message":"request"') == 8
    assert "Traceback" not in written
    for secret in (*SECRETS.values(), SECRETS["latitude"][:6], SECRETS["longitude"][:6], JWT_SECRET):
        assert secret not in written
    assert members.token("local-entitled", JWT_SECRET).split(".")[0] not in written


def test_each_request_leaves_one_line_with_its_correlation_id(call: Call, output: Callable[[], str]) -> None:
    call("get_session")
    lines = [json.loads(line) for line in output().splitlines()]
    (line,) = [line for line in lines if line.get("message") == "request"]
    assert line["status"] == 200
    assert line["correlation_id"]
    assert line["user_id"] == "local-entitled"
