"""The stack: every part of the system, once, in the order in which one needs the other."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra import build
from infra.alarms import Alarms
from infra.api import Api
from infra.database import database_secret, migrate_before
from infra.domain_events import DomainEvents
from infra.endpoints import ENDPOINTS, Right
from infra.functions import METRICS_NAMESPACE, SERVICE, Functions, function_name
from infra.photos import Photos, Uploads
from infra.secrets import app_secret
from infra.sessions import Scheduling, Sessions


class AfterHours(Stack):
    """The whole backend. The context option `stage=local` builds it for this machine's processor, no more."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name, description="After Hours: timed sessions of verified members")
        database = database_secret(self)
        app = app_secret(self)
        scheduling = Scheduling(self)
        uploads = Uploads(self)
        domain_events = DomainEvents(self)
        functions = Functions(
            self,
            target=build.HOST if self.node.try_get_context("stage") == "local" else build.AWS,
            environment={
                "DATABASE_SECRET_ARN": database.secret_arn,
                "APP_SECRET_ARN": app.secret_arn,
                "POWERTOOLS_SERVICE_NAME": SERVICE,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **scheduling.environment(),
                **uploads.environment(),
                **domain_events.environment(),
            },
            secrets=[database, app],
        )

        endpoints = {endpoint.function: functions.make(endpoint.function) for endpoint in ENDPOINTS}
        sessions = Sessions(self, functions=functions, scheduling=scheduling, database_secret=database)
        photos = Photos(self, functions=functions, uploads=uploads)
        api = Api(self, functions=endpoints)

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

        migrate_before(*endpoints.values(), *jobs, sessions, photos, api, functions=functions, secret=database)
        Alarms(
            self,
            session_dead_letters=scheduling.dead_letters,
            photo_dead_letters=photos.dead_letters,
            sweep=sessions.sweep,
            stage=api.stage,
        )

        CfnOutput(self, "ApiUrl", value=api.http.api_endpoint)
        CfnOutput(self, "ApiId", value=api.http.api_id)
        CfnOutput(self, "AppSecretArn", value=app.secret_arn)
        CfnOutput(self, "ScheduleGroup", value=scheduling.group_name)
        CfnOutput(self, "EventBus", value=domain_events.bus.event_bus_name)
        CfnOutput(self, "UploadBucket", value=uploads.bucket_name)
        CfnOutput(self, "SessionDeadLettersUrl", value=scheduling.dead_letters.queue_url)
        CfnOutput(self, "PhotoDeadLettersUrl", value=photos.dead_letters.queue_url)
        CfnOutput(self, "FunctionNamePrefix", value=function_name(self, ""))
