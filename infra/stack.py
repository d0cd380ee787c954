"""The stack: every part of the system, once, in the order in which one needs the other."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.alarms import Alarms
from infra.api import Api
from infra.cluster import Cluster
from infra.database import Database, GivenDatabase, migrate_before
from infra.domain_events import DomainEvents
from infra.endpoints import ENDPOINTS, Right, Secret
from infra.functions import Functions, function_name
from infra.helpers import bound_logs
from infra.network import OwnNetwork
from infra.options import Options, Refused
from infra.photos import Photos, Uploads
from infra.secrets import Secrets
from infra.sessions import Scheduling, Sessions


class AfterHours(Stack):
    """The whole backend, as its options and the row of its stage say."""

    def __init__(self, scope: Construct, options: Options) -> None:
        stage = options.stage
        super().__init__(scope, stage.stack_name, description="After Hours: timed sessions of verified members")
        database = _database(self, options)
        secrets = Secrets(self, options)
        scheduling = Scheduling(self)
        uploads = Uploads(self)
        domain_events = DomainEvents(self)
        functions = Functions(self, stage=stage, network=database.network)

        endpoints = {endpoint.function: functions.make(endpoint.function) for endpoint in ENDPOINTS}
        sessions = Sessions(self, functions=functions, scheduling=scheduling, stage=stage)
        photos = Photos(self, functions=functions, uploads=uploads, stage=stage)
        api = Api(self, functions=endpoints, stage=stage, allowed_origins=options.allowed_origins)

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
        secrets.allow_reading(sessions.sweep, Secret.R2)
        secrets.allow_reading(photos.process, Secret.R2)
        uploads.allow_removing(sessions.sweep)
        jobs = (sessions.expire, sessions.sweep, photos.process)
        for function in jobs:
            domain_events.allow_publishing(function)
        for function in (*endpoints.values(), *jobs):
            database.allow_serving(function)

        migrate_before(*endpoints.values(), *jobs, sessions, photos, api, functions=functions, database=database)
        Alarms(
            self,
            session_dead_letters=scheduling.dead_letters,
            photo_dead_letters=photos.dead_letters,
            sweep=sessions.sweep,
            stage=api.stage,
        )

        bound_logs(self, stage)

        CfnOutput(self, "ApiUrl", value=api.http.api_endpoint)
        CfnOutput(self, "ApiId", value=api.http.api_id)
        CfnOutput(self, "JwtSecretArn", value=secrets.arn(Secret.JWT))
        CfnOutput(self, "LocationSecretArn", value=secrets.arn(Secret.LOCATION))
        CfnOutput(self, "R2SecretArn", value=secrets.arn(Secret.R2))
        CfnOutput(self, "ScheduleGroup", value=scheduling.group_name)
        CfnOutput(self, "EventBus", value=domain_events.bus.event_bus_name)
        CfnOutput(self, "UploadBucket", value=uploads.bucket_name)
        CfnOutput(self, "SessionDeadLettersUrl", value=scheduling.dead_letters.queue_url)
        CfnOutput(self, "PhotoDeadLettersUrl", value=photos.dead_letters.queue_url)
        CfnOutput(self, "FunctionNamePrefix", value=function_name(self, ""))


def _database(stack: Stack, options: Options) -> Database:
    """Return the database that is given or, where none is, one of our own in a network of our own."""
    if options.database_secret_arn:
        return GivenDatabase(stack, options, options.database_secret_arn)
    if options.stage.cluster is None:
        raise Refused(f"The stage {options.stage.name} makes no database of its own.")
    return Cluster(stack, options.stage.cluster, OwnNetwork(stack, egress=options.stage.egress))
