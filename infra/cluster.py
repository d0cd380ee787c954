"""Our own PostgreSQL: Aurora Serverless v2 in our own network."""

from typing import cast

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra import stages
from infra.database import APP_ROLE, Database
from infra.log_groups import log_group
from infra.network import POSTGRESQL, OwnNetwork
from infra.noon import Noon
from infra.secrets import allow_reading

_OWNER = "after_hours_owner"
_NAME = "after_hours"
# A minor version with long-term support: only a change of this line upgrades the cluster (docs/operations.md).
_VERSION = rds.AuroraPostgresEngineVersion.VER_17_7

# Events for people, by the kind of source ("Amazon RDS event categories", Amazon Aurora User Guide).
_EVENTS = {
    "db-cluster": ["deletion", "failover", "failure", "maintenance"],
    "db-instance": ["availability", "deletion", "failure", "maintenance", "security patching"],
}

# A failed statement is logged without its text and its row: both contain places and texts of members.
_QUIET_AND_ENCRYPTED = {
    "rds.force_ssl": "1",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
}
_BORROW_TIMEOUT = Duration.seconds(5)  # a second before the client's own timeout (after_hours.foundation.connecting)
_POOLED_PERCENT = 80  # the rest is for migrations and people, whose connections bypass the proxy


class Cluster(Database):
    """The cluster and, where the stage has one, RDS Proxy in front of it. Functions log in with IAM tokens."""

    def __init__(self, scope: Construct, stage: stages.Stage, size: stages.Cluster, network: OwnNetwork) -> None:
        self.network = network
        self._stage = stage
        self._scope = Construct(scope, "Cluster")
        noon = Noon(self._scope)
        self.database = rds.DatabaseCluster(
            self._scope,
            "Database",
            engine=rds.DatabaseClusterEngine.aurora_postgres(version=_VERSION),
            vpc=network.vpc,
            vpc_subnets=network.database,
            writer=_instance("writer", noon),
            # The reader scales with the writer, since it replaces the writer in a failover.
            readers=[_instance("reader", noon, scale_with_writer=True)] if size.reader else [],
            serverless_v2_min_capacity=size.min_acu,
            serverless_v2_max_capacity=size.max_acu,
            serverless_v2_auto_pause_duration=(
                Duration.minutes(size.pause_after_minutes) if size.pause_after_minutes else None
            ),
            port=POSTGRESQL,
            default_database_name=_NAME,
            credentials=rds.Credentials.from_username(_OWNER),
            manage_master_user_password=True,  # generated, stored and rotated by RDS
            iam_authentication=True,
            enable_data_api=True,  # for people (`make sql`); our code does not use it
            parameters=_parameters(size),
            storage_encrypted=True,
            storage_encryption_key=self._key(size.copied_to) if size.protected else None,
            backup=rds.BackupProps(retention=Duration.days(size.backup_days), preferred_window=noon.backup),
            preferred_maintenance_window=noon.maintenance,
            auto_minor_version_upgrade=False,
            database_insights_mode=rds.DatabaseInsightsMode.STANDARD,
            cloudwatch_logs_exports=["postgresql"],
            deletion_protection=size.protected,
            removal_policy=RemovalPolicy.SNAPSHOT if size.protected else RemovalPolicy.DESTROY,
        )
        if size.restored_from:
            self._restore_from(size.restored_from)
        self._make_log_group()
        self._acknowledge_rules(size)
        self.proxy = self._make_proxy(network) if size.proxy else None
        port = ec2.Port.tcp(POSTGRESQL)
        # To the cluster, too: migrations bypass the proxy.
        self.database.connections.allow_from(network.functions, port, "Functions of After Hours")
        if self.proxy:
            self.proxy.connections.allow_from(network.functions, port, "Functions of After Hours")

    def allow_serving(self, function: lambda_.Function) -> None:
        if self.proxy:
            self.proxy.grant_connect(function, APP_ROLE)
            _set_address(function, self.proxy.endpoint)
        else:
            self.database.grant_connect(function, APP_ROLE)
            _set_address(function, self.database.cluster_endpoint.hostname)
        function.add_environment("DATABASE_IAM_USER", APP_ROLE)

    def allow_owning(self, function: lambda_.Function) -> None:
        """Let the function connect as the owner, without the proxy, whose connections are for short statements."""
        allow_reading(function, "DATABASE_SECRET_ARN", self.owner_secret_arn)
        _set_address(function, self.database.cluster_endpoint.hostname)
        function.add_environment("DATABASE_APP_ROLE", APP_ROLE)
        function.add_environment("DATABASE_HOST_TABLES", "create")  # no main app makes its tables here
        function.node.add_dependency(self.database)  # and its instances, without which it does not respond

    @property
    def owner_secret_arn(self) -> str:
        secret = self.database.secret
        if secret is None:
            raise ValueError("a cluster whose password RDS manages has a secret")
        return secret.secret_arn

    def _make_log_group(self) -> None:
        """Make the group for the cluster's exported log before an instance writes the first line.

        RDS would make it without a retention. The group's name contains the cluster's identifier, which exists before
        the instances do.
        """
        name = f"/aws/rds/cluster/{self.database.cluster_identifier}/postgresql"
        logs = log_group(self._scope, "Logs", self._stage, name=name)
        for child in self.database.node.children:
            for instance in child.node.find_all():
                if isinstance(instance, rds.CfnDBInstance):
                    instance.node.add_dependency(logs)

    def _acknowledge_rules(self, size: stages.Cluster) -> None:
        """Explain to cdk-nag why some of its rules do not apply."""
        reasons = {"AwsSolutions-RDS11": "Only functions of ours reach the port, whichever it is; see its group"}
        if not size.protected:
            reasons["AwsSolutions-RDS10"] = "The stage is made to be thrown away, and holds no members"
        for rule, reason in reasons.items():
            Validations.of(self.database).acknowledge(Acknowledgment(id=rule, reason=reason))

    def notify(self, topic: sns.ITopic) -> None:
        """Let RDS publish failovers, failures, maintenance and the like to the topic."""
        sources = {"db-cluster": [self.database.cluster_identifier], "db-instance": self.database.instance_identifiers}
        for kind, categories in _EVENTS.items():
            rds.CfnEventSubscription(
                self._scope,
                f"{kind}-events",
                sns_topic_arn=topic.topic_arn,
                source_type=kind,
                source_ids=sources[kind],
                event_categories=categories,
            )

    def proxy_metric(self, name: str) -> cloudwatch.Metric:
        """Return a metric of the proxy: the sum over its machines, each of which reports every minute."""
        return cloudwatch.Metric(
            namespace="AWS/RDS",
            metric_name=name,
            dimensions_map={"ProxyName": self._proxy_name},
            statistic=cloudwatch.Stats.SUM,
            period=Duration.minutes(5),
        )

    @property
    def _proxy_name(self) -> str:
        """The proxy's name in RDS, which converts it to lower case."""
        return Stack.of(self._scope).stack_name.lower()

    def _restore_from(self, snapshot: str) -> None:
        cfn_cluster = cast("rds.CfnDBCluster", self.database.node.default_child)
        cfn_cluster.snapshot_identifier = snapshot
        cfn_cluster.master_username = cfn_cluster.database_name = None  # the snapshot has both

    def _key(self, copied_to: str | None) -> kms.Key:
        """Make a key, since backups under AWS's own key cannot be copied to another account. It outlives the stack."""
        key = kms.Key(
            self._scope,
            "Key",
            description=f"The database of {Stack.of(self._scope).stack_name} and its snapshots",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        if copied_to:
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    actions=["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey"],
                    principals=[iam.AccountPrincipal(copied_to)],
                    resources=["*"],  # in a resource policy: the key itself
                )
            )
        return key

    def _make_proxy(self, network: OwnNetwork) -> rds.DatabaseProxy:
        """Make the proxy: functions share its connections, which it keeps during a failover."""
        role = iam.Role(self._scope, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        self.database.grant_connect(role, APP_ROLE)  # the CDK does not grant it with IAM authentication
        # Before the proxy: RDS would make it without a retention.
        logs = log_group(self._scope, "ProxyLogs", self._stage, name=f"/aws/rds/proxy/{self._proxy_name}")
        proxy = rds.DatabaseProxy(
            self._scope,
            "Proxy",
            # The CDK would name it `Proxy` in every stage, and names are unique in an account.
            db_proxy_name=self._proxy_name,
            proxy_target=rds.ProxyTarget.from_cluster(self.database),
            vpc=network.vpc,
            vpc_subnets=network.database,
            security_groups=[
                ec2.SecurityGroup(
                    self._scope,
                    "ProxyGroup",
                    vpc=network.vpc,
                    description="RDS Proxy of After Hours",
                    allow_all_outbound=False,
                )
            ],
            role=role,
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,
            require_tls=True,
            borrow_timeout=_BORROW_TIMEOUT,
            max_connections_percent=_POOLED_PERCENT,
            max_idle_connections_percent=_POOLED_PERCENT // 2,
        )
        proxy.node.add_dependency(logs)
        return proxy


def _instance(name: str, noon: Noon, *, scale_with_writer: bool | None = None) -> rds.IClusterInstance:
    """Describe an instance, without Performance Insights, which stores statements with members' values."""
    return rds.ClusterInstance.serverless_v2(
        name,
        scale_with_writer=scale_with_writer,
        auto_minor_version_upgrade=False,
        enable_performance_insights=False,
        preferred_maintenance_window=noon.maintenance,
    )


def _parameters(size: stages.Cluster) -> dict[str, str]:
    if size.pause_after_minutes is None:
        return _QUIET_AND_ENCRYPTED
    # A cluster pauses only without connections, and a warm function keeps its connection until Lambda ends it.
    return _QUIET_AND_ENCRYPTED | {"idle_session_timeout": "60000"}


def _set_address(function: lambda_.Function, host: str) -> None:
    """Set the database's address in the environment: a secret that RDS makes has only a name and a password."""
    function.add_environment("DATABASE_HOST", host)
    function.add_environment("DATABASE_PORT", str(POSTGRESQL))
    function.add_environment("DATABASE_NAME", _NAME)
