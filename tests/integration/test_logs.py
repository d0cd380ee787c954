"""What is secret is never in a log: tokens, places, texts, device ids."""

import json
from collections.abc import Callable

import pytest
from after_hours.foundation import storage
from botocore.exceptions import ClientError

from tests.support.environment import JWT_SECRET
from tests.support.phone import Phone
from tests.support.world import World
from tools.local import members

SECRETS = {"latitude": "52.5200081", "longitude": "13.4049541", "text": "a text for one night", "device": "device-4711"}


def story(phone: Phone, world: World) -> None:
    phone.create_profile(description=SECRETS["text"])
    phone.call("update_profile", body={"description": SECRETS["text"] * 100})
    body = {
        "duration": 15,
        "latitude": float(SECRETS["latitude"]),
        "longitude": float(SECRETS["longitude"]),
        "deviceFingerprint": {"deviceId": SECRETS["device"], "deviceModel": SECRETS["device"]},
    }
    session = phone.start(**body)
    phone.call("start_session", body=body)
    phone.call("start_session", body=body | {"duration": "15", SECRETS["device"]: 1})
    phone.extend()
    world.fire("expiry", session.id)
    world.sweep()
    # A row that PostgreSQL refuses is quoted, whole, in its error message.
    world.rows("ALTER TABLE after_hours_sessions ADD CONSTRAINT refusing CHECK (ended_at IS NULL) NOT VALID")
    try:
        assert phone.call("end_session").status == 500
    finally:
        world.rows("ALTER TABLE after_hours_sessions DROP CONSTRAINT refusing")
    phone.end()


def test_the_logs_of_a_whole_story_hold_no_secret(phone: Phone, world: World, output: Callable[[], str]) -> None:
    story(phone, world)
    written = output()
    assert written.count('"message":"request"') == 8
    assert "Traceback" not in written
    for secret in (*SECRETS.values(), SECRETS["latitude"][:6], SECRETS["longitude"][:6], JWT_SECRET):
        assert secret not in written
    assert members.token("local-entitled", JWT_SECRET).split(".")[0] not in written


def test_what_aws_says_of_a_fault_is_logged_without_the_key_of_the_photo(
    phone: Phone, world: World, output: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.create_profile()
    photo_id = phone.send()
    world.arrive(photo_id)

    def refuse(Bucket: str, Key: str) -> None:  # noqa: N803 (boto3's names)
        error = {"Code": "AccessDenied", "Message": f"no s3:DeleteObject on arn:aws:s3:::{Bucket}/{Key}"}
        raise ClientError({"Error": error, "ResponseMetadata": {"RequestId": "R-1"}}, "DeleteObject")  # type: ignore[typeddict-item]

    monkeypatch.setattr(storage.bucket(storage.Store.R2).client, "delete_object", refuse)
    phone.delete_photo()
    written = output()
    assert "AccessDenied: no s3:DeleteObject on arn:aws:s3:::photos/… (request R-1)" in written
    assert str(photo_id) not in written


def test_each_request_leaves_one_line_with_its_correlation_id(phone: Phone, output: Callable[[], str]) -> None:
    phone.call("get_session")
    lines = [json.loads(line) for line in output().splitlines()]
    (line,) = [line for line in lines if line.get("message") == "request"]
    assert line["status"] == 200
    assert line["correlation_id"]
    assert line["user_id"] == "local-entitled"
