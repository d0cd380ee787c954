"""The local AWS checks each call of a function against the function's own role, as the deployment made it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.deployed import NewMember, refused
from tools.local.stack import Stack

START = {"duration": 15, "latitude": 52.5200081, "longitude": 13.4049541}


@contextmanager
def without(stack: Stack, function: str, service: str) -> Iterator[None]:
    """Take from a function, for a while, what its role allows it to do with a service."""
    functions, iam = boto3.client("lambda", **stack.aws), boto3.client("iam", **stack.aws)
    arn = functions.get_function(FunctionName=stack.functions[function])["Configuration"]["Role"]
    role = arn.rpartition("/")[2]
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    left = [each for each in policy["Statement"] if not str(each["Action"]).lstrip("['").startswith(f"{service}:")]
    assert len(left) < len(policy["Statement"])
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy | {"Statement": left}))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


def test_a_function_is_refused_what_its_role_does_not_allow(stack: Stack, new_member: NewMember) -> None:
    member = new_member()
    member.call("POST", "/profile", {"description": "a text for one night"})
    session_id = member.call("POST", "/session/start", START).body["session"]["id"]
    scheduler = boto3.client("scheduler", **stack.aws)

    def scheduled() -> str:
        schedule = scheduler.get_schedule(GroupName=stack.schedule_group, Name=f"expire-{session_id}")
        return str(schedule["ScheduleExpression"])

    before = scheduled()
    with without(stack, "extend_session", "scheduler"):
        assert member.call("POST", "/session/extend", {"additionalMinutes": 15}).status == 200
        assert scheduled() == before
    assert "extend_session" in refused(stack)
    assert member.call("POST", "/session/extend", {"additionalMinutes": 15}).status == 200
    assert scheduled() != before


def test_who_is_nobody_is_refused_everything(stack: Stack) -> None:
    iam = boto3.client("iam", **stack.aws)
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    nobody = stack.aws | {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    with pytest.raises(ClientError, match="AccessDenied"):
        boto3.client("scheduler", **nobody).get_schedule(GroupName=stack.schedule_group, Name="expire-any")
    with pytest.raises(ClientError, match="AccessDenied"):
        boto3.client("s3", **nobody).get_object(Bucket=stack.upload_bucket, Key="any")
