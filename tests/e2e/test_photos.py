"""A photo on the deployed system: an outage of R2 that ends well."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tests.support.deployed import NewMember
from tests.support.waiting import until
from tools.local import aws, photo
from tools.local.forms import post
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY


@contextmanager
def r2_down(stack: Stack) -> Iterator[None]:
    """The bucket that stands for R2 is not there for a while."""
    s3 = boto3.client("s3", **stack.aws)
    for item in s3.list_objects_v2(Bucket=stack.r2_bucket).get("Contents", ()):
        s3.delete_object(Bucket=stack.r2_bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=stack.r2_bucket)
    yield
    s3.create_bucket(Bucket=stack.r2_bucket)


def test_r2_down_then_a_dead_letter_then_redriven_and_ready(
    new_member: NewMember, stack: Stack, connection: Connection
) -> None:
    member = new_member()
    assert member.call("POST", "/profile", {}).status == 201
    s3, sqs = boto3.client("s3", **stack.aws), boto3.client("sqs", **stack.aws)

    def status() -> tuple[str, str | None]:
        shown = member.call("GET", "/profile/photo").body["photo"]
        return shown["status"], shown["reason"]

    def original_is_there() -> bool:
        objects = s3.list_objects_v2(Bucket=stack.upload_bucket).get("Contents", ())
        return any(upload["photoId"] in item["Key"] for item in objects)

    def dead_letters() -> int:
        counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        queue = sqs.get_queue_attributes(QueueUrl=stack.photo_dead_letters_url, AttributeNames=counts)
        return sum(int(queue["Attributes"][name]) for name in counts)

    with r2_down(stack):
        upload = member.call("POST", "/profile/photo").body["upload"]
        post(upload["url"], upload["fields"], photo.take())
        until(dead_letters)
        assert status() == ("processing", None)
        with connection.cursor() as cursor:
            stuck = "UPDATE after_hours_photo_uploads SET changed_at = now() - interval '15 minutes' WHERE id = %s"
            cursor.execute(stuck, (upload["photoId"],))
        boto3.client("lambda", **stack.aws).invoke(FunctionName=stack.functions["sweep"])
        assert status() == ("failed", "PROCESSING_FAILED")
        assert original_is_there()
    redriven = subprocess.run(
        [sys.executable, "-m", "tools.ops.redrive", stack.photo_dead_letters_url],
        cwd=REPOSITORY, env=os.environ | aws.settings(stack.aws_endpoint_url), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert redriven.stdout.endswith("1 events sent back, 0 messages left\n")
    until(lambda: status() == ("ready", None))
    assert dead_letters() == 0
    until(lambda: not original_is_there())
    assert member.call("DELETE", "/profile").status == 204
