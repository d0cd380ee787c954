"""Where photos arrive, and the function that makes them clean and small on their way to Cloudflare R2."""

from typing import cast

from aws_cdk import Acknowledgment, ArnFormat, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.dead_letters import dead_letter_queue, give_up
from infra.functions import Functions, function_name
from infra.stages import Stage

# Lambda gives one whole processor at 1769 MB. The process that decodes may have 1000 (after_hours.images.worker).
_MEMORY_MB = 1769
# Bytes that glibc keeps from one step of a picture to the next (mallopt(3)): it takes a tenth of a large JPEG's time to
# get them anew. The benchmark of photos has them, too.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
_TIMEOUT = Duration.seconds(60)
_EVENT_AGE = Duration.hours(1)
_RETRIES = 2
_FORGOTTEN_AFTER = Duration.days(1)


class Uploads(Construct):
    """What other parts need to know of the upload bucket before it is made: its name, and who may do what in it."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Uploads")
        stack = Stack.of(self)
        # By name, not by reference: functions have it in their environment, and the bucket notifies one of them.
        self.bucket_name = f"{function_name(self, 'uploads').lower()}-{stack.account}-{stack.region}"

    def allow_signing(self, function: lambda_.Function) -> None:
        """Let the function sign forms: what they put is put in its name."""
        self._allow_on_objects(function, "s3:PutObject")

    def allow_removing(self, function: lambda_.Function) -> None:
        self._allow_on_objects(function, "s3:DeleteObject")

    def allow_reading(self, function: lambda_.Function) -> None:
        self._allow_on_objects(function, "s3:GetObject")
        # Without it S3 answers 403 for an object that is gone, which would look like a fault instead of like an end.
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
        give_up(self.process, after=_EVENT_AGE, retries=_RETRIES, to=self.dead_letters)
        self.bucket = self._forgetful_bucket(uploads.bucket_name, stage)
        self._tell_of_arrivals(uploads.arn())

    def _forgetful_bucket(self, name: str, stage: Stage) -> s3.Bucket:
        """Make the bucket, which keeps what arrives for a day."""
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(expiration=_FORGOTTEN_AFTER, abort_incomplete_multipart_upload_after=_FORGOTTEN_AFTER)
            ],
            removal_policy=RemovalPolicy.DESTROY,
            # S3 deletes no bucket that holds something. The function that empties it does not run on the local AWS.
            auto_delete_objects=not stage.emulated,
        )
        Validations.of(bucket).acknowledge(
            Acknowledgment(
                id="AwsSolutions-S1",
                reason="Each object lives for seconds and leaves its trace in the database and in process_photo's log",
            )
        )
        return bucket

    def _tell_of_arrivals(self, bucket_arn: str) -> None:
        """Let the bucket invoke process_photo for each object that arrives.

        The CDK's own way brings a function of its own that may change every bucket of the account.
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
        self.bucket.node.add_dependency(self.process)  # S3 asks, when it is told, whether it may invoke the function
