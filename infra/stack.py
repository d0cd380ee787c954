"""The stack: every part of the system, once, in the order in which one needs the other."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra import build
from infra.alarms import Alarms
from infra.api import Api
from infra.database import database_secret, migrate_before
from infra.endpoints import ENDPOINTS
from infra.functions import Functions, function_name
from infra.secrets import app_secret
from infra.sessions import Scheduling, Sessions

# Of the endpoints, those that make, move or delete the schedules of a session.
_SCHEDULING_ENDPOINTS = ("start_session", "end_session", "extend_session", "delete_profile")


class AfterHours(Stack):
    """The whole backend. The context option `stage=local` builds it for this machine's processor, no more."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name, description="After Hours: timed sessions of verified members")
        database = database_secret(self)
        app = app_secret(self)
        scheduling = Scheduling(self)
        functions = Functions(
            self,
            target=build.HOST if self.node.try_get_context("stage") == "local" else build.AWS,
            environment={
                "DATABASE_SECRET_ARN": database.secret_arn,
                "APP_SECRET_ARN": app.secret_arn,
                "POWERTOOLS_SERVICE_NAME": "after-hours",
                "POWERTOOLS_METRICS_NAMESPACE": "AfterHours",
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **scheduling.environment(),
            },
            secrets=[database, app],
        )

        endpoints = {endpoint.function: functions.make(endpoint.function) for endpoint in ENDPOINTS}
        for function in _SCHEDULING_ENDPOINTS:
            scheduling.allow_scheduling(endpoints[function])
        sessions = Sessions(self, functions=functions, scheduling=scheduling)
        api = Api(self, functions=endpoints)
        migrate_before(
            *endpoints.values(), sessions.expire, sessions.sweep, sessions, api, functions=functions, secret=database
        )
        Alarms(self, dead_letters=scheduling.dead_letters, sweep=sessions.sweep, stage=api.stage)

        CfnOutput(self, "ApiUrl", value=api.http.api_endpoint)
        CfnOutput(self, "ApiId", value=api.http.api_id)
        CfnOutput(self, "AppSecretArn", value=app.secret_arn)
        CfnOutput(self, "ScheduleGroup", value=scheduling.group_name)
        CfnOutput(self, "FunctionNamePrefix", value=function_name(self, ""))
