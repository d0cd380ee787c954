"""The bucket for uploads, and the function that writes small, clean photos to Cloudflare R2."""

from typing import cast

from aws_cdk import Acknowledgment, ArnFormat, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.dead_letters import dead_letter_queue, limit_retries
from infra.functions import Functions, function_name
from infra.stages import Stage

# With 1769 MB a function has one whole processor. The decoding process may use 1000 MB (after_hours.images.worker).
_MEMORY_MB = 1769
# Bytes that glibc keeps between the steps of a picture (mallopt(3)): fetching them again takes a tenth of the time of a
# large JPEG. The benchmark of photos has the same values.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
_TIMEOUT = Duration.seconds(60)
_EVENT_AGE = Duration.hours(1)
_RETRIES = 2
_EXPIRY = Duration.days(1)


class Uploads(Construct):
    """The name of the upload bucket and the rights in it, which other parts need before the bucket exists."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Uploads")
        stack = Stack.of(self)
        # By name, since a reference would be circular: functions have the name, and the bucket notifies one of them.
        self.bucket_name = f"{function_name(self, 'uploads').lower()}-{stack.account}-{stack.region}"

    def allow_signing(self, function: lambda_.Function) -> None:
        """Let the function sign forms: S3 checks the signer's right to put the object."""
        self._allow_on_objects(function, "s3:PutObject")

    def allow_removing(self, function: lambda_.Function) -> None:
        self._allow_on_objects(function, "s3:DeleteObject")

    def allow_reading(self, function: lambda_.Function) -> None:
        self._allow_on_objects(function, "s3:GetObject")
        # Without it S3 answers 403 instead of 404 for an object that is gone, which would look like a fault.
        function.add_to_role_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.arn()]))

    def arn(self, objects: str | None = None) -> str:
        return Stack.of(self).format_arn(
            service="s3",
            region="",
            account="",
            resource=self.bucket_name,
            resource_name=objects,
            arn_format=ArnFormat.SLASH_RESOURCE_NAME if objects else ArnFormat.NO_RESOURCE_NAME,
        )

    def _allow_on_objects(self, function: lambda_.Function, action: str) -> None:
        function.add_environment("UPLOAD_BUCKET", self.bucket_name)
        function.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=[self.arn("*")]))
        written_by_nag = (
            f"arn:<AWS::Partition>:s3:::{function_name(self, 'uploads').lower()}-<AWS::AccountId>-<AWS::Region>/*"
        )
        Validations.of(cast("iam.Role", function.role)).acknowledge(
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::{written_by_nag}]",
                reason="Objects are named after uploads, which come and go; the bucket holds nothing else",
            )
        )


class Photos(Construct):
    """The upload bucket, process_photo, and its dead letters."""

    def __init__(
        self,
        scope: Construct,
        *,
        functions: Functions,
        uploads: Uploads,
        stage: Stage,
    ) -> None:
        super().__init__(scope, "Photos")
        self.dead_letters = dead_letter_queue(self)
        self.process = functions.make(
            "process_photo",
            timeout=_TIMEOUT,
            memory_mb=_MEMORY_MB,
            layers=["imaging"],
        )
        for name, value in _MALLOC.items():
            self.process.add_environment(name, value)
        uploads.allow_reading(self.process)
        uploads.allow_removing(self.process)
        limit_retries(self.process, max_age=_EVENT_AGE, retries=_RETRIES, queue=self.dead_letters)
        self.bucket = self._expiring_bucket(uploads.bucket_name, stage)
        self._notify_of_uploads(uploads.arn())

    def _expiring_bucket(self, name: str, stage: Stage) -> s3.Bucket:
        """Make the bucket, which deletes objects after a day."""
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(expiration=_EXPIRY, abort_incomplete_multipart_upload_after=_EXPIRY)],
            removal_policy=RemovalPolicy.DESTROY,
            # S3 deletes only empty buckets. The function that empties this one does not run on the local AWS.
            auto_delete_objects=not stage.emulated,
        )
        Validations.of(bucket).acknowledge(
            Acknowledgment(
                id="AwsSolutions-S1",
                reason="Each object lives for seconds and leaves its trace in the database and in process_photo's log",
            )
        )
        return bucket

    def _notify_of_uploads(self, bucket_arn: str) -> None:
        """Let the bucket invoke process_photo for each object that arrives.

        The CDK's own way adds a function that may change every bucket of the account.
        """
        self.process.add_permission(
            "Arrivals",
            principal=iam.ServicePrincipal("s3.amazonaws.com"),
            source_arn=bucket_arn,
            source_account=Stack.of(self).account,
        )
        cfn_bucket = cast("s3.CfnBucket", self.bucket.node.default_child)
        cfn_bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            lambda_configurations=[
                s3.CfnBucket.LambdaConfigurationProperty(event="s3:ObjectCreated:*", function=self.process.function_arn)
            ]
        )
        self.bucket.node.add_dependency(self.process)  # S3 checks its permission to invoke when the notification is set
