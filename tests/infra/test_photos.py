"""What photos arrive in, and what happens to those that cannot be made."""

import re
from typing import Any

from after_hours.members import uploads

from tests.support.synthesized import Resource, Synthesized


def bucket_id(aws: Synthesized) -> str:
    """The other bucket, if the stack has a database of its own, keeps the log of SqlUse."""
    [name] = [name for name in aws.resources("AWS::S3::Bucket") if not name.startswith("SqlUse")]
    return name


def bucket(aws: Synthesized) -> Resource:
    properties: Resource = aws.resources("AWS::S3::Bucket")[bucket_id(aws)]["Properties"]
    return properties


def test_the_upload_bucket_is_private_encrypted_and_takes_tls_only(aws: Synthesized) -> None:
    assert set(bucket(aws)["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = bucket(aws)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    [policy] = [
        policy
        for policy in aws.resources("AWS::S3::BucketPolicy").values()
        if policy["Properties"]["Bucket"] == {"Ref": bucket_id(aws)}
    ]
    [denied] = [
        statement
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" or statement["Principal"] == {"AWS": "*"}
    ]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", {"AWS": "*"})
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_upload_bucket_forgets_after_a_day(aws: Synthesized) -> None:
    [rule] = bucket(aws)["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1
    assert rule["Status"] == "Enabled"
    assert "Prefix" not in rule
    assert "VersioningConfiguration" not in bucket(aws)


def test_functions_know_the_bucket_by_the_name_it_has(aws: Synthesized) -> None:
    environment: dict[str, Any] = aws.functions["request_photo_upload"]["Properties"]["Environment"]["Variables"]
    assert environment["UPLOAD_BUCKET"] == bucket(aws)["BucketName"]


def test_every_object_that_arrives_is_told_to_process_photo_by_this_bucket_alone(aws: Synthesized) -> None:
    [told] = bucket(aws)["NotificationConfiguration"]["LambdaConfigurations"]
    assert told["Event"] == "s3:ObjectCreated:*"
    assert "Filter" not in told
    function = told["Function"]["Fn::GetAtt"][0]
    assert aws.template["Resources"][function] == aws.functions["process_photo"]
    [permission] = [
        resource["Properties"]
        for resource in aws.resources("AWS::Lambda::Permission").values()
        if resource["Properties"]["Principal"] == "s3.amazonaws.com"
    ]
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    made = aws.resources("AWS::S3::Bucket")[bucket_id(aws)]
    [permission_id] = [
        name
        for name, resource in aws.resources("AWS::Lambda::Permission").items()
        if resource["Properties"] == permission
    ]
    assert permission_id in made["DependsOn"], "S3 asks, when the bucket is made, whether it may invoke the function"
    assert permission["SourceArn"]["Fn::Join"][1][-1] == bucket(aws)["BucketName"]["Fn::Join"][1][-1]


def test_the_upload_bucket_is_emptied_when_the_stack_goes(aws: Synthesized) -> None:
    """S3 deletes no bucket that holds something, and with it would stay the stack."""
    name = bucket_id(aws)
    emptied = [each["Properties"]["BucketName"] for each in aws.resources("Custom::S3AutoDeleteObjects").values()]
    assert {"Ref": name} in emptied
    assert aws.resources("AWS::S3::Bucket")[name]["DeletionPolicy"] == "Delete"


def test_process_photo_has_its_own_size(aws: Synthesized) -> None:
    process, other = (aws.functions[name]["Properties"] for name in ("process_photo", "get_photo"))
    assert process["MemorySize"] > other["MemorySize"]


def test_an_upload_is_leased_for_as_long_as_its_function_may_run(aws: Synthesized) -> None:
    [seconds] = re.findall(r"leased_until = now\(\) \+ interval '(\d+) seconds'", uploads._CLAIM)
    assert aws.functions["process_photo"]["Properties"]["Timeout"] == int(seconds)


def test_a_photo_that_cannot_be_made_becomes_a_dead_letter(aws: Synthesized) -> None:
    assert aws.on_failure("process_photo") == aws.dead_letters["Photos"]
