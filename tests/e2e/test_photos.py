"""Photos over HTTP, on the deployed stack: signed, posted to S3, made, served clean, replaced, failed and healed."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import psycopg2
import pytest
from after_hours.images.pipeline import process
from PIL import Image
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tests.support.deployed import Caller, NewMember
from tests.support.waiting import until
from tools.local import aws, photo
from tools.local.forms import post
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY
from tools.pictures.files import GPS_BYTES, corners, display_p3, encoded, exif, xmp
from tools.pictures.photograph import photograph

JPEG = encoded(photograph(2016, 1512), exif=exif(6), comment=GPS_BYTES, xmp=xmp(), icc_profile=display_p3())


@pytest.fixture
def member(new_member: NewMember) -> Iterator[Caller]:
    caller = new_member()
    assert caller.call("POST", "/profile", {}).status == 201
    yield caller
    caller.call("DELETE", "/profile")


def ask(member: Caller) -> dict[str, Any]:
    answer = member.call("POST", "/profile/photo")
    assert answer.status == 201
    upload: dict[str, Any] = answer.body["upload"]
    return upload


def status(member: Caller) -> dict[str, Any]:
    answer: dict[str, Any] = member.call("GET", "/profile/photo").body["photo"]
    return answer


def settled(member: Caller, photo_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        now = status(member)
        return now if now["photoId"] == photo_id and now["status"] not in photo.WAITING else {}

    return until(look)


def sent(member: Caller, content: bytes = JPEG, **changes: str) -> dict[str, Any]:
    """Ask, send, and wait; what became of it."""
    upload = ask(member)
    assert post(upload["url"], upload["fields"], content, **changes) in {200, 204}
    return settled(member, upload["photoId"])


def keys(stack: Stack, bucket: str, member: Caller) -> set[str]:
    listed = boto3.client("s3", **stack.aws).list_objects_v2(Bucket=bucket)
    return {item["Key"] for item in listed.get("Contents", ()) if member.id in item["Key"]}


def nothing_left(stack: Stack, member: Caller) -> bool:
    return not keys(stack, stack.upload_bucket, member) | keys(stack, stack.r2_bucket, member)


@contextmanager
def r2_down(stack: Stack) -> Iterator[None]:
    """The bucket that stands for R2 is not there for a while."""
    s3 = boto3.client("s3", **stack.aws)
    for item in s3.list_objects_v2(Bucket=stack.r2_bucket).get("Contents", ()):
        s3.delete_object(Bucket=stack.r2_bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=stack.r2_bucket)
    yield
    s3.create_bucket(Bucket=stack.r2_bucket)


def test_from_the_form_to_a_clean_photo(member: Caller, stack: Stack) -> None:
    ready = sent(member)
    assert (ready["status"], ready["reason"]) == ("ready", None)
    for name, size, progressive in (("photoUrl", (900, 1200), True), ("thumbnailUrl", (200, 200), False)):
        jpeg = photo.fetch(ready[name])
        with Image.open(io.BytesIO(jpeg)) as image:
            assert (image.size, "progressive" in image.info) == (size, progressive)
            assert not image.getexif()
            assert not image.info.keys() & {"icc_profile", "comment", "xmp", "exif"}
        for trace in (GPS_BYTES, b"Exif", b"ICC_PROFILE", b"http://ns.adobe.com", b"\xff\xfe"):
            assert trace not in jpeg[: jpeg.index(b"\xff\xda")]
    profile = member.call("GET", "/profile").body["profile"]
    assert (profile["photoUrl"], profile["thumbnailUrl"]) == (ready["photoUrl"], ready["thumbnailUrl"])
    assert profile["photoStatus"] == "ready"
    assert not keys(stack, stack.upload_bucket, member)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "HEIF"])
def test_each_kind_that_phones_make_is_welcome_under_any_of_the_types(member: Caller, kind: str) -> None:
    assert sent(member, encoded(corners(), kind))["status"] == "ready"  # as image/jpeg: what counts is inside
    assert sent(member, encoded(corners(), kind), **{"Content-Type": f"image/{kind.lower()}"})["status"] == "ready"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"<html>no</html>", "UNSUPPORTED_TYPE"), (JPEG[: len(JPEG) // 2], "CORRUPT")]
)
def test_a_bad_file_is_rejected_and_the_photo_before_it_stays(
    member: Caller, stack: Stack, content: bytes, reason: str
) -> None:
    before = sent(member)
    rejected = sent(member, content)
    assert (rejected["status"], rejected["reason"]) == ("rejected", reason)
    assert rejected["photoUrl"] == before["photoUrl"]
    assert photo.fetch(rejected["photoUrl"])
    until(lambda: not keys(stack, stack.upload_bucket, member))
    assert len(keys(stack, stack.r2_bucket, member)) == 2


@contextmanager
def banned(connection: Connection, photo_hash: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO banned_photo_hashes (photo_hash) VALUES (%s)", (photo_hash,))
        yield
        cursor.execute("DELETE FROM banned_photo_hashes WHERE photo_hash = %s", (photo_hash,))


def test_a_banned_photo_is_rejected_however_it_was_changed_and_the_one_before_it_stays(
    member: Caller, stack: Stack, connection: Connection
) -> None:
    before = sent(member)
    picture = photograph(1200, 900, seed=5)  # its plain hash changes by ten bits when it is cropped
    width, height = picture.size
    cropped = picture.crop((width // 50, height // 50, width - width // 50, height - height // 50))
    files = {
        "as it was": encoded(picture, quality=92),
        "recompressed": encoded(picture, quality=40),
        "smaller": encoded(picture.resize((500, 375)), quality=80),
        "cropped": encoded(cropped, quality=85),
    }
    with banned(connection, process(files["as it was"]).photo_hash):
        for how, content in files.items():
            rejected = sent(member, content)
            assert (rejected["status"], rejected["reason"]) == ("rejected", "NOT_ALLOWED"), how
            assert rejected["photoUrl"] == before["photoUrl"]
    assert photo.fetch(before["photoUrl"])
    until(lambda: not keys(stack, stack.upload_bucket, member))
    assert len(keys(stack, stack.r2_bucket, member)) == 2


def test_s3_itself_refuses_what_the_form_does_not_allow(member: Caller, stack: Stack) -> None:
    upload = ask(member)
    assert post(upload["url"], upload["fields"], b"") == 400
    assert post(upload["url"], upload["fields"], bytes(upload["maxBytes"] + 1)) == 400
    assert post(upload["url"], upload["fields"], JPEG, key=f"uploads/somebody-else/{upload['photoId']}") == 403
    assert post(upload["url"], upload["fields"], JPEG, **{"Content-Type": "text/html"}) == 403
    assert nothing_left(stack, member)
    assert status(member)["status"] == "pending"


def test_the_newest_request_wins(member: Caller, stack: Stack) -> None:
    first, second = ask(member), ask(member)
    post(second["url"], second["fields"], JPEG)
    settled(member, second["photoId"])
    post(first["url"], first["fields"], JPEG)
    until(lambda: not keys(stack, stack.upload_bucket, member))
    assert second["photoId"] in status(member)["photoUrl"]
    until(lambda: len(keys(stack, stack.r2_bucket, member)) == 2)


def test_deleting_and_leaving_leave_no_object(member: Caller, stack: Stack) -> None:
    shown = sent(member)
    assert member.call("DELETE", "/profile/photo").status == 204
    assert nothing_left(stack, member)
    assert photo.is_gone(shown["photoUrl"])
    sent(member)
    assert member.call("DELETE", "/profile").status == 204
    assert nothing_left(stack, member)


def test_r2_down_then_a_dead_letter_then_redriven_and_ready(member: Caller, stack: Stack) -> None:
    sqs = boto3.client("sqs", **stack.aws)

    def dead_letters() -> int:
        attributes = sqs.get_queue_attributes(
            QueueUrl=stack.photo_dead_letters_url, AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])

    with r2_down(stack):
        upload = ask(member)
        post(upload["url"], upload["fields"], JPEG)
        until(dead_letters)
        assert status(member)["status"] == "processing"
        with psycopg2.connect(stack.database_url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "UPDATE after_hours_photo_uploads SET changed_at = now() - interval '15 minutes' WHERE id = %s",
                (upload["photoId"],),
            )
        connection.close()
        boto3.client("lambda", **stack.aws).invoke(FunctionName=stack.functions["sweep"])
        assert status(member)["status"] == "failed"
        assert status(member)["reason"] == "PROCESSING_FAILED"
        assert keys(stack, stack.upload_bucket, member)
    redriven = subprocess.run(
        [sys.executable, "-m", "tools.ops.redrive", stack.photo_dead_letters_url],
        cwd=REPOSITORY,
        env=aws.command_line_environment(stack.aws_endpoint_url),
        capture_output=True,
        text=True,
        check=True,
    )
    assert redriven.stdout.endswith("1 events sent back, 0 messages left\n")
    until(lambda: status(member)["status"] == "ready")
    assert photo.fetch(status(member)["photoUrl"])
    assert dead_letters() == 0
    until(lambda: not keys(stack, stack.upload_bucket, member))


def test_the_log_of_process_photo_holds_no_key_and_no_address(member: Caller, stack: Stack) -> None:
    ready = sent(member)
    logs = boto3.client("logs", **stack.aws)
    for name in ("process_photo", "get_photo", "request_photo_upload"):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{stack.functions[name]}")
        written = "".join(json.dumps(event["message"]) for page in pages for event in page["events"])
        assert written
        assert ready["photoId"] not in written
        assert "X-Amz-Signature" not in written
