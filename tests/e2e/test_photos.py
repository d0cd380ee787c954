"""Photos on the deployed system: what S3 itself refuses, and an outage of R2 that ends well."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tests.support.deployed import Caller, NewMember
from tests.support.waiting import until
from tools.local import aws, photo
from tools.local.forms import post
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY

JPEG = photo.take()


@pytest.fixture
def member(new_member: NewMember) -> Iterator[Caller]:
    caller = new_member()
    assert caller.call("POST", "/profile", {}).status == 201
    yield caller
    caller.call("DELETE", "/profile")


def ask(member: Caller) -> dict[str, Any]:
    upload: dict[str, Any] = member.call("POST", "/profile/photo").body["upload"]
    return upload


def status(member: Caller) -> tuple[str, str | None]:
    shown = member.call("GET", "/profile/photo").body["photo"]
    return shown["status"], shown["reason"]


def keys(stack: Stack, bucket: str, member: Caller) -> list[str]:
    listed = boto3.client("s3", **stack.aws).list_objects_v2(Bucket=bucket)
    return [item["Key"] for item in listed.get("Contents", ()) if member.id in item["Key"]]


@contextmanager
def r2_down(stack: Stack) -> Iterator[None]:
    """The bucket that stands for R2 is not there for a while."""
    s3 = boto3.client("s3", **stack.aws)
    for item in s3.list_objects_v2(Bucket=stack.r2_bucket).get("Contents", ()):
        s3.delete_object(Bucket=stack.r2_bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=stack.r2_bucket)
    yield
    s3.create_bucket(Bucket=stack.r2_bucket)


def test_s3_itself_refuses_what_the_form_does_not_allow(member: Caller, stack: Stack) -> None:
    upload = ask(member)
    for refusal, content, changed in (
        (400, b"", {}),
        (400, bytes(upload["maxBytes"] + 1), {}),
        (403, JPEG, {"key": f"uploads/somebody-else/{upload['photoId']}"}),
        (403, JPEG, {"Content-Type": "text/html"}),
    ):
        assert post(upload["url"], upload["fields"], content, **changed) == refusal
    assert keys(stack, stack.upload_bucket, member) == []
    assert status(member) == ("pending", None)


def test_r2_down_then_a_dead_letter_then_redriven_and_ready(
    member: Caller, stack: Stack, connection: Connection
) -> None:
    sqs = boto3.client("sqs", **stack.aws)

    def dead_letters() -> int:
        named = {"QueueUrl": stack.photo_dead_letters_url, "AttributeNames": ["ApproximateNumberOfMessages"]}
        return int(sqs.get_queue_attributes(**named)["Attributes"]["ApproximateNumberOfMessages"])

    with r2_down(stack):
        upload = ask(member)
        post(upload["url"], upload["fields"], JPEG)
        until(dead_letters)
        assert status(member) == ("processing", None)
        with connection.cursor() as cursor:
            stuck = "UPDATE after_hours_photo_uploads SET changed_at = now() - interval '15 minutes' WHERE id = %s"
            cursor.execute(stuck, (upload["photoId"],))
        boto3.client("lambda", **stack.aws).invoke(FunctionName=stack.functions["sweep"])
        assert status(member) == ("failed", "PROCESSING_FAILED")
        assert keys(stack, stack.upload_bucket, member)
    redriven = subprocess.run(
        [sys.executable, "-m", "tools.ops.redrive", stack.photo_dead_letters_url],
        cwd=REPOSITORY, env=os.environ | aws.settings(stack.aws_endpoint_url), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert redriven.stdout.endswith("1 events sent back, 0 messages left\n")
    until(lambda: status(member) == ("ready", None))
    assert dead_letters() == 0
    until(lambda: not keys(stack, stack.upload_bucket, member))
