"""The stack: every part of the system, once, in the order in which one needs the other."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.alarms import Alarms
from infra.api import Api
from infra.database import Database
from infra.domain_events import DomainEvents
from infra.endpoints import ENDPOINTS, Right, Secret
from infra.functions import METRICS_NAMESPACE, SERVICE, Functions, function_name
from infra.helpers import bound_logs
from infra.options import Options
from infra.photos import Photos, Uploads
from infra.secrets import Secrets
from infra.sessions import Scheduling, Sessions


class AfterHours(Stack):
    """The whole backend, as its options and the row of its stage say."""

    def __init__(self, scope: Construct, options: Options) -> None:
        stage = options.stage
        super().__init__(scope, stage.stack_name, description="After Hours: timed sessions of verified members")
        database = Database(self, owner_arn=options.database_secret_arn or "", app_arn=options.app_database_secret_arn)
        secrets = Secrets(self)
        scheduling = Scheduling(self)
        uploads = Uploads(self)
        domain_events = DomainEvents(self)
        functions = Functions(
            self,
            stage=stage,
            environment={
                "POWERTOOLS_SERVICE_NAME": SERVICE,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **scheduling.environment(),
                **uploads.environment(),
                **domain_events.environment(),
            },
        )

        endpoints = {
            endpoint.function: functions.make(
                endpoint.function, secrets={**database.serving, **secrets.of([Secret.JWT, *endpoint.reads])}
            )
            for endpoint in ENDPOINTS
        }
        sessions = Sessions(
            self, functions=functions, scheduling=scheduling, database=database.serving, secrets=secrets
        )
        photos = Photos(
            self,
            functions=functions,
            uploads=uploads,
            secrets={**database.serving, **secrets.of([Secret.R2])},
            stage=stage,
        )
        api = Api(self, functions=endpoints, stage=stage, allowed_origins=options.allowed_origins)

        grant = {
            Right.MOVE_SCHEDULES: scheduling.allow_putting,
            Right.DELETE_SCHEDULES: scheduling.allow_deleting,
            Right.PUBLISH: domain_events.allow_publishing,
            Right.SIGN_UPLOADS: uploads.allow_signing,
            Right.DELETE_UPLOADS: uploads.allow_removing,
        }
        for endpoint in ENDPOINTS:
            for right in endpoint.may:
                grant[right](endpoints[endpoint.function])
        uploads.allow_removing(sessions.sweep)
        jobs = (sessions.expire, sessions.sweep, photos.process)
        for function in jobs:
            domain_events.allow_publishing(function)

        database.migrate_before(*endpoints.values(), *jobs, sessions, photos, api, functions=functions)
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
        CfnOutput(self, "JwtSecretArn", value=secrets[Secret.JWT].secret_arn)
        CfnOutput(self, "LocationSecretArn", value=secrets[Secret.LOCATION].secret_arn)
        CfnOutput(self, "R2SecretArn", value=secrets[Secret.R2].secret_arn)
        CfnOutput(self, "ScheduleGroup", value=scheduling.group_name)
        CfnOutput(self, "EventBus", value=domain_events.bus.event_bus_name)
        CfnOutput(self, "UploadBucket", value=uploads.bucket_name)
        CfnOutput(self, "SessionDeadLettersUrl", value=scheduling.dead_letters.queue_url)
        CfnOutput(self, "PhotoDeadLettersUrl", value=photos.dead_letters.queue_url)
        CfnOutput(self, "FunctionNamePrefix", value=function_name(self, ""))
