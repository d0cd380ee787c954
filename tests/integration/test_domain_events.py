"""What happened is told to the bus, at least once: at once, or by the sweep, and never where anyone is."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from after_hours import aws, domain_events
from botocore.exceptions import ClientError

from pictures.files import corners, encoded
from tests.support.environment import SETTINGS, UNREACHABLE, UPLOAD_BUCKET
from tests.support.handlers import Answer
from tests.support.world import leases_over

type Call = Callable[..., Answer]
type Rows = Callable[..., list[tuple[Any, ...]]]
type Told = Callable[[], list[dict[str, Any]]]

ID = "local-entitled"
START = {
    "duration": 15,
    "latitude": 52.5200081,
    "longitude": 13.4049541,
    "deviceFingerprint": {"deviceId": "device-4711"},
}


@pytest.fixture(scope="session")
def bus(client: Callable[[str], Any]) -> Callable[[], list[dict[str, Any]]]:
    """Read, from a queue that a rule fills as a chat service's would, what was put on the bus since the last time."""
    sqs, events = client("sqs"), client("events")
    queue = sqs.create_queue(QueueName="chat")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["after-hours"]})
    events.put_rule(Name="chat", EventBusName=SETTINGS["EVENT_BUS"], EventPattern=pattern)
    events.put_targets(Rule="chat", EventBusName=SETTINGS["EVENT_BUS"], Targets=[{"Id": "chat", "Arn": arn}])

    def read() -> list[dict[str, Any]]:
        told = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                told.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return told

    return read


@pytest.fixture
def told(bus: Told, people: Any) -> Told:
    bus()
    return bus


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["detail-type"] for event in events]


def lapse(rows: Rows, by: str = "15 minutes") -> None:
    rows(
        "UPDATE after_hours_sessions"
        f" SET expires_at = expires_at - interval '{by}', started_at = started_at - interval '{by}'"
    )


@pytest.mark.usefixtures("profile")
def test_the_life_of_a_session_is_told(call: Call, told: Told, rows: Rows) -> None:
    started = call("start_session", body=START).body["session"]
    extended = call("extend_session", body={"additionalMinutes": 30}).body["session"]
    ended = call("end_session").body["session"]
    events = told()
    who = {"userId": ID, "sessionId": started["id"]}
    assert [event["source"] for event in events] == ["after-hours"] * 3
    details = {event["detail-type"]: event["detail"] for event in events}
    for detail in details.values():
        assert detail.pop("eventId")
        datetime.fromisoformat(detail.pop("occurredAt"))
    assert details == {
        "SessionStarted": who | {"startedAt": started["startedAt"], "expiresAt": started["expiresAt"]},
        "SessionExtended": who | {"expiresAt": extended["expiresAt"], "extendedByMinutes": 30},
        "SessionEnded": who | {"endedAt": ended["endedAt"], "reason": "user"},
    }
    assert rows("SELECT * FROM after_hours_domain_events") == []


@pytest.mark.usefixtures("profile")
def test_each_way_to_an_end_has_its_reason(call: Call, told: Told, rows: Rows, run_job: Any) -> None:
    def reasons() -> list[str]:
        return [event["detail"]["reason"] for event in told() if event["detail-type"] == "SessionEnded"]

    session = call("start_session", body=START).body["session"]
    lapse(rows)
    run_job("expire_session", {"kind": "expiry", "sessionId": session["id"]})
    assert reasons() == ["expired"]
    call("start_session", body=START)
    lapse(rows)
    run_job("sweep")
    assert reasons() == ["expired"]
    call("start_session", body=START)
    lapse(rows)
    assert call("start_session", body=START).status == 201
    assert reasons() == ["expired"]
    rows("UPDATE users SET after_hours_consent = false")
    run_job("sweep")
    assert reasons() == ["lapsed"]
    rows("UPDATE users SET after_hours_consent = true")
    call("start_session", body=START)
    call("delete_profile")
    assert reasons() == ["profile_deleted"]


@pytest.mark.usefixtures("profile")
def test_a_member_is_warned_once(call: Call, told: Told, rows: Rows, run_job: Any) -> None:
    session = call("start_session", body=START).body["session"]
    lapse(rows, "11 minutes")
    told()
    for _ in range(2):
        run_job("expire_session", {"kind": "warning", "sessionId": session["id"]})
        run_job("sweep")
    [event] = told()
    assert (event["detail-type"], event["detail"]["sessionId"]) == ("SessionExpiring", session["id"])


@pytest.mark.usefixtures("profile")
def test_what_becomes_of_a_photo_is_told(call: Call, told: Told, run_job: Any, s3: Any) -> None:
    for content, expected in (
        (encoded(corners()), ("PhotoReady", None)),
        (b"x", ("PhotoRejected", "UNSUPPORTED_TYPE")),
    ):
        photo_id = call("request_photo_upload").body["upload"]["photoId"]
        key = f"uploads/{ID}/{photo_id}"
        s3.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=content, ContentType="image/jpeg")
        for _ in range(2):
            run_job("process_photo", {"Records": [{"s3": {"object": {"key": key, "size": 1}}}]})
        [event] = told()
        assert (event["detail-type"], event["detail"].get("reason")) == expected
        assert event["detail"]["photoId"] == photo_id
        assert event["detail"]["userId"] == ID


@pytest.mark.usefixtures("profile")
def test_no_event_says_where_anyone_is(call: Call, told: Told, rows: Rows) -> None:
    rows("UPDATE after_hours_profiles SET description = 'a text for one night'")
    call("start_session", body=START)
    call("extend_session", body={"additionalMinutes": 15})
    call("delete_profile")
    text = json.dumps(told())
    assert text.count("SessionEnded") == 1
    for secret in ("52.5", "13.4", "latitude", "device", "night"):
        assert secret not in text


@pytest.mark.usefixtures("profile")
def test_without_the_bus_the_call_succeeds_and_the_sweep_tells_later(
    call: Call, told: Told, rows: Rows, run_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", UNREACHABLE)
        aws._client.cache_clear()
        assert call("start_session", body=START).status == 201
        assert call("extend_session", body={"additionalMinutes": 15}).status == 200
        assert call("end_session").status == 200
        leases_over(rows)
        assert run_job("sweep")["eventsPublished"] == 0
    aws._client.cache_clear()
    assert told() == []
    leases_over(rows)
    assert run_job("sweep")["eventsPublished"] == 3
    assert sorted(types(told())) == ["SessionEnded", "SessionExtended", "SessionStarted"]
    assert rows("SELECT * FROM after_hours_domain_events") == []
    assert run_job("sweep")["eventsPublished"] == 0


@pytest.mark.usefixtures("profile")
def test_a_change_that_is_refused_tells_nothing(call: Call, told: Told, rows: Rows) -> None:
    assert call("extend_session", body={"additionalMinutes": 15}).status == 404
    assert call("end_session").status == 404
    call("start_session", body=START)
    told()
    assert call("start_session", body=START).status == 409
    assert told() == []
    assert rows("SELECT * FROM after_hours_domain_events") == []


def refusing(refused: set[str]) -> Any:
    """A bus that refuses events of these types, and fails a whole call that holds an event of the type Poison."""

    class Bus:
        def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 (AWS's word)
            if any(entry["DetailType"] == "Poison" for entry in Entries):
                raise ClientError({"Error": {"Code": "ValidationException"}}, "PutEvents")
            return {
                "Entries": [
                    {"ErrorCode": "MalformedDetail"} if entry["DetailType"] in refused else {"EventId": "1"}
                    for entry in Entries
                ]
            }

    return cache(Bus)


def test_what_the_bus_refuses_waits_by_itself_and_keeps_nobody_waiting(
    rows: Rows, run_job: Any, environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PutEvents may take some entries of a call and refuse others, or fail the call because of one."""
    monkeypatch.setattr(domain_events, "_client", refusing({"Refused"}))
    rows(
        "INSERT INTO after_hours_domain_events (type, detail, due_at)"
        " SELECT CASE n WHEN 1 THEN 'Refused' WHEN 2 THEN 'Poison' ELSE 'T' END, '{}', now() - interval '1 minute'"
        " + n * interval '1 second' FROM generate_series(1, 45) n"
    )
    assert run_job("sweep")["eventsPublished"] == 35
    leases_over(rows)
    assert run_job("sweep")["eventsPublished"] == 8
    assert rows("SELECT type, attempts, due_at > now() + interval '1 minute' FROM after_hours_domain_events") == [
        ("Refused", 2, True),
        ("Poison", 2, True),
    ]
