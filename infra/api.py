"""The HTTP API, built from the endpoint table."""

import json
from collections.abc import Mapping
from typing import cast

from aws_cdk import Acknowledgment, RemovalPolicy, Stack, Validations
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.endpoints import ENDPOINTS, PREFIX
from infra.functions import LOG_RETENTION

# For all members together. The app asks for a session a few times a minute, so this serves many thousands of them, and
# keeps a runaway client from using up the account's Lambda concurrency and the database's connections.
REQUESTS_PER_SECOND = 100
BURST_REQUESTS = 200

# Who did what and how long it took; never a header, a query or a body, where tokens and coordinates travel.
_ACCESS_LOG_FIELDS = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLatencyMs": "$context.responseLatency",
    "integrationLatencyMs": "$context.integrationLatency",
}


class Api(Construct):
    """One route for each row of the table, each answered by its own function."""

    def __init__(self, scope: Construct, *, functions: Mapping[str, lambda_.IFunction]) -> None:
        super().__init__(scope, "Api")
        name = Stack.of(self).stack_name
        self.http = apigatewayv2.HttpApi(self, "Http", api_name=name, create_default_stage=False)
        Validations.of(self.http).acknowledge(
            Acknowledgment(
                id="AwsSolutions-APIG4",
                reason="Each function authenticates and checks access itself; docs/decisions/ tells why",
            )
        )
        for endpoint in ENDPOINTS:
            self.http.add_routes(
                path=f"{PREFIX}{endpoint.path}",
                methods=[apigatewayv2.HttpMethod[endpoint.method]],
                integration=HttpLambdaIntegration(endpoint.function, functions[endpoint.function]),
            )
        log_group = logs.LogGroup(
            self,
            "AccessLogs",
            log_group_name=f"/aws/vendedlogs/{name}-api",  # this prefix needs no resource policy, whose size is limited
            retention=LOG_RETENTION,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.stage = apigatewayv2.HttpStage(
            self,
            "Stage",
            http_api=self.http,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigatewayv2.ThrottleSettings(rate_limit=REQUESTS_PER_SECOND, burst_limit=BURST_REQUESTS),
        )
        # The CDK's own option takes an interface that only TypeScript can fill in without a class.
        cfn_stage = cast("apigatewayv2.CfnStage", self.stage.node.default_child)
        cfn_stage.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=log_group.log_group_arn, format=json.dumps(_ACCESS_LOG_FIELDS)
        )
