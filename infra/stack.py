"""The stack: every part of the system, in the order of their dependencies."""

from collections.abc import Mapping

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import canaries
from infra.alarms import Alarms, allow_publishing_by
from infra.api import Api
from infra.budget import TAG, Budget
from infra.canaries import Canaries
from infra.cluster import Cluster
from infra.custom_resources import limit_log_groups
from infra.dashboard import Dashboard
from infra.database import Database, ExistingDatabase, migrate_before
from infra.domain_events import DomainEvents
from infra.endpoints import ENDPOINTS, PREFIX, Right, Secret
from infra.functions import Functions, function_name
from infra.metrics import Measured
from infra.network import OwnNetwork
from infra.options import Options
from infra.photos import Photos, Uploads
from infra.probe import Probe
from infra.queries import Queries
from infra.secrets import Secrets
from infra.sessions import Scheduling, Sessions
from infra.sql_use import SqlUse
from infra.watches import Severity, watches


class AfterHours(Stack):
    """The whole backend, built by its options and the row of its stage."""

    def __init__(self, scope: Construct, options: Options) -> None:
        stage = options.stage
        super().__init__(
            scope,
            stage.stack_name,
            description="After Hours: timed sessions of verified members",
            termination_protection=stage.protected,
            tags={TAG: stage.stack_name},
        )
        database = _database(self, options)
        secrets = Secrets(self, options)
        scheduling = Scheduling(self)
        uploads = Uploads(self)
        domain_events = DomainEvents(self)
        functions = Functions(self, stage=stage, network=database.network)

        endpoints = {endpoint.function: functions.make(endpoint.function) for endpoint in ENDPOINTS}
        sessions = Sessions(self, functions=functions, scheduling=scheduling, stage=stage)
        photos = Photos(self, functions=functions, uploads=uploads, stage=stage)
        aliases = {name: canaries.live_alias(endpoints[name]) for name in canaries.FUNCTIONS} if stage.canary else {}
        api = Api(self, functions={**endpoints, **aliases}, options=options)

        _allow(endpoints, secrets, scheduling, domain_events, uploads)
        uploads.allow_removing(sessions.sweep)
        for function in (sessions.sweep, photos.process):
            secrets.allow_reading(function, Secret.R2)
        for function in (sessions.expire, sessions.sweep, photos.process):
            domain_events.allow_publishing(function)
        serving = [*functions.made.values()]
        for function in serving:
            database.allow_serving(function)
        migrate_before(*serving, sessions, photos, api, functions=functions, database=database)
        limit_log_groups(self, stage)
        measured = Measured(
            stage=stage,
            api=api,
            functions=functions.made,
            schedule_group=scheduling.group_name,
            session_dead_letters=scheduling.dead_letters,
            photo_dead_letters=photos.dead_letters,
            cluster=database if isinstance(database, Cluster) else None,
        )
        alarms = self._alarms(options, measured)
        if alarms and not stage.emulated:
            Probe(functions, stage=stage, url=f"{api.address}{PREFIX}/session", bus=domain_events.bus)
        self._watch(measured, alarms.by_name if alarms else {}, aliases)
        self._output(secrets, scheduling, uploads, domain_events, measured)

    def _alarms(self, options: Options, measured: Measured) -> Alarms | None:
        """Make alarms and a budget where the stage has them, or an address is set."""
        if not options.stage.alarms and not options.alarm_email:
            return None
        emails = {
            Severity.PAGE: options.alarm_email,
            Severity.TICKET: options.ticket_email or options.alarm_email,
        }
        alarms = Alarms(self, watches(measured), emails=emails)
        tickets = alarms.topics[Severity.TICKET]
        if not options.stage.emulated:
            Budget(self, dollars=options.stage.monthly_dollars, topic=tickets)
        if measured.cluster:
            allow_publishing_by(tickets, "events.rds.amazonaws.com")
            measured.cluster.notify(tickets)
            SqlUse(self, cluster_arn=measured.cluster.database.cluster_arn, topic=tickets)
        return alarms

    def _watch(
        self, measured: Measured, alarms: Mapping[str, cloudwatch.Alarm], aliases: Mapping[str, lambda_.Alias]
    ) -> None:
        """Make the canaries and the dashboard, which use the alarms, and the saved queries."""
        if aliases:
            Canaries(self, aliases=aliases, alarms={name: alarms[f"Canary-{name}"] for name in aliases})
        Dashboard(self, measured, alarms.values())
        if not measured.stage.emulated:  # the local AWS saves no queries
            Queries(self, measured)

    def _output(
        self,
        secrets: Secrets,
        scheduling: Scheduling,
        uploads: Uploads,
        domain_events: DomainEvents,
        measured: Measured,
    ) -> None:
        """Write the stack's outputs: names and addresses for people and tools."""
        for name, value in {
            "ApiUrl": measured.api.address,
            "ApiId": measured.api.http.api_id,
            "JwtSecretArn": secrets.arn(Secret.JWT),
            "LocationSecretArn": secrets.arn(Secret.LOCATION),
            "R2SecretArn": secrets.arn(Secret.R2),
            "ScheduleGroup": scheduling.group_name,
            "EventBus": domain_events.bus.event_bus_name,
            "UploadBucket": uploads.bucket_name,
            "SessionDeadLettersUrl": scheduling.dead_letters.queue_url,
            "PhotoDeadLettersUrl": measured.photo_dead_letters.queue_url,
            "FunctionNamePrefix": function_name(self, ""),
        }.items():
            CfnOutput(self, name, value=value)
        if measured.cluster:
            CfnOutput(self, "DatabaseClusterArn", value=measured.cluster.database.cluster_arn)
            CfnOutput(self, "DatabaseSecretArn", value=measured.cluster.owner_secret_arn)
        if measured.api.domain:  # the target of the domain's CNAME record
            CfnOutput(self, "DomainTarget", value=measured.api.domain.regional_domain_name)


def _allow(
    endpoints: Mapping[str, lambda_.Function],
    secrets: Secrets,
    scheduling: Scheduling,
    domain_events: DomainEvents,
    uploads: Uploads,
) -> None:
    """Give the function of each endpoint the rights and the secrets of its row."""
    grant = {
        Right.MOVE_SCHEDULES: scheduling.allow_putting,
        Right.DELETE_SCHEDULES: scheduling.allow_deleting,
        Right.PUBLISH: domain_events.allow_publishing,
        Right.SIGN_UPLOADS: uploads.allow_signing,
        Right.DELETE_UPLOADS: uploads.allow_removing,
    }
    for endpoint in ENDPOINTS:
        function = endpoints[endpoint.function]
        secrets.allow_reading(function, Secret.JWT, *endpoint.reads)
        for right in endpoint.may:
            grant[right](function)


def _database(stack: Stack, options: Options) -> Database:
    """Return our own database in a network of our own, or the existing one, by the stage's row."""
    stage = options.stage
    if stage.cluster:
        return Cluster(stack, stage, stage.cluster, OwnNetwork(stack, egress=stage.egress, zones=stage.cluster.zones))
    return ExistingDatabase(stack, options)
