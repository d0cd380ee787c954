"""Reports each use of the RDS Data API (`make sql`) on our own cluster to people."""

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

_RETENTION = Duration.days(90)
_CALLS = ["BatchExecuteStatement", "BeginTransaction", "ExecuteStatement"]


class SqlUse(Construct):
    """A trail of the Data API's calls on one cluster, and a rule that publishes each call to a topic.

    On a Serverless v2 cluster these calls are data events. CloudTrail records them, and EventBridge gets them, only if
    a trail selects them ("Logging RDS Data API calls with AWS CloudTrail", Aurora User Guide). The record has the
    caller, the address and the time, but not the statement.
    """

    def __init__(self, scope: Construct, *, cluster_arn: str, topic: sns.ITopic) -> None:
        super().__init__(scope, "SqlUse")
        name = f"{Stack.of(self).stack_name}-sql"
        self._trail(name, cluster_arn)
        field = events.EventField.from_path
        rule = events.Rule(
            self,
            "Told",
            rule_name=name,
            # No `source`: it has had two names for these events.
            event_pattern=events.EventPattern(
                detail_type=["AWS API Call via CloudTrail"],
                detail={"eventName": _CALLS, "requestParameters": {"resourceArn": [cluster_arn]}},
            ),
            targets=[
                targets.SnsTopic(
                    topic,
                    message=events.RuleTargetInput.from_text(
                        f"{field('$.detail.userIdentity.arn')} called {field('$.detail.eventName')} on the database of"
                        f" {Stack.of(self).stack_name} at {field('$.time')}, from {field('$.detail.sourceIPAddress')}."
                        " docs/operations.md says what may be read, and why."
                    ),
                )
            ],
        )

        Validations.of(rule).acknowledge(
            Acknowledgment(
                id="Serverless-EventBusDLQ",
                reason="EventBridge tries for a day, and what it could not tell is in the trail for ninety",
            )
        )

    def _trail(self, name: str, cluster_arn: str) -> None:
        stack = Stack.of(self)
        bucket = self._bucket(f"{name.lower()}-{stack.account}-{stack.region}")
        trail_arn = stack.format_arn(service="cloudtrail", resource="trail", resource_name=name)
        for action, resource in (
            ("s3:GetBucketAcl", bucket.bucket_arn),
            ("s3:PutObject", bucket.arn_for_objects(f"AWSLogs/{stack.account}/*")),
        ):
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    actions=[action],
                    principals=[iam.ServicePrincipal("cloudtrail.amazonaws.com")],
                    resources=[resource],
                    conditions={"StringEquals": {"aws:SourceArn": trail_arn}},
                )
            )
        fields = {
            "eventCategory": "Data",
            "resources.type": "AWS::RDS::DBCluster",
            "resources.ARN": cluster_arn,
        }
        trail = cloudtrail.CfnTrail(
            self,
            "Trail",
            trail_name=name,
            s3_bucket_name=bucket.bucket_name,
            is_logging=True,
            enable_log_file_validation=True,
            advanced_event_selectors=[
                cloudtrail.CfnTrail.AdvancedEventSelectorProperty(
                    name="SQL on the cluster",
                    field_selectors=[
                        cloudtrail.CfnTrail.AdvancedFieldSelectorProperty(field=field, equal_to=[value])
                        for field, value in fields.items()
                    ],
                )
            ],
        )
        if bucket.policy:
            trail.node.add_dependency(bucket.policy)  # CloudTrail checks that it may write

    def _bucket(self, name: str) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(expiration=_RETENTION)],
            removal_policy=RemovalPolicy.DESTROY,
            auto_delete_objects=True,
        )
        Validations.of(bucket).acknowledge(
            Acknowledgment(id="AwsSolutions-S1", reason="It holds a log itself, which only CloudTrail writes")
        )
        return bucket
