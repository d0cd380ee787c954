"""What is secret is in no log of a function: tokens, places, texts, device ids.

The exact place of a member is never sent to PostgreSQL, and so is written nowhere.
"""

import json
from collections.abc import Callable

import pytest
from after_hours.foundation import storage
from botocore.exceptions import ClientError
from psycopg2.errors import CheckViolation

from tests.support.environment import JWT_SECRET
from tests.support.phone import LATITUDE, LONGITUDE, START, Phone
from tests.support.world import World

TEXT, DEVICE = "a text for one night", "device-4711"


def test_the_logs_of_a_whole_story_hold_its_requests_and_no_secret(
    phone: Phone, world: World, output: Callable[[], str]
) -> None:
    phone.create_profile(description=TEXT)
    phone.call("update_profile", body={"description": TEXT * 100})
    session = phone.start()
    phone.call("start_session", body=START)
    phone.call("start_session", body=START | {"duration": "15", DEVICE: 1})
    phone.extend()
    world.fire("expiry", session.id)
    world.sweep()
    # A row that PostgreSQL refuses is quoted, whole, in its error message.
    world.rows("ALTER TABLE after_hours_profiles ADD CONSTRAINT refusing CHECK (description IS NULL) NOT VALID")
    try:
        assert phone.call("update_profile", body={"description": TEXT}).status == 500
    finally:
        world.rows("ALTER TABLE after_hours_profiles DROP CONSTRAINT refusing")
    phone.end()
    written = output()
    lines = [json.loads(line) for line in written.splitlines() if '"message":"request"' in line]
    assert [line["status"] for line in lines] == [201, 400, 201, 409, 400, 200, 500, 200]
    assert {line["user_id"] for line in lines} == {phone.id}
    assert len({line["correlation_id"] for line in lines}) == len(lines)
    assert "Traceback" not in written
    for secret in (TEXT, DEVICE, "52.520", "13.404", JWT_SECRET, phone.token.split(".")[0]):
        assert secret not in written


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


def test_the_exact_place_never_reaches_postgresql_and_an_end_keeps_no_place(
    phone: Phone, world: World, statements: Callable[[], list[str]]
) -> None:
    places = "SELECT latitude, longitude, fuzzed_latitude::text, fuzzed_longitude::text FROM after_hours_sessions"
    phone.create_profile()
    phone.start()
    [(*exact, latitude, longitude)] = world.rows(places)
    assert exact == [None, None]
    assert 0 < abs(float(latitude) - LATITUDE) < 0.01
    assert 0 < abs(float(longitude) - LONGITUDE) < 0.01
    with pytest.raises(CheckViolation, match="after_hours_sessions_place_erased"):
        world.rows("UPDATE after_hours_sessions SET ended_at = now()")
    phone.end()
    assert world.rows(places) == [(None,) * 4]
    sent = "".join(statements())
    assert latitude.rstrip("0") in sent  # the log has the values that were sent
    assert "52.520008" not in sent
    assert "13.404954" not in sent
