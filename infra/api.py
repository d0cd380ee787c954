"""The HTTP API, built from the endpoint table."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal, cast

from aws_cdk import Acknowledgment, Duration, Stack, Validations
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.endpoints import ENDPOINTS, PREFIX
from infra.log_groups import log_group
from infra.options import Domain, Options
from infra.stages import Stage, Throttle

STAGE_NAME = "$default"

_SAFE = "GET"
_CORS_MAX_AGE = Duration.hours(1)

# No header, query or body, which contain tokens and coordinates. The source address is personal data, needed to
# recognize a flood, so the log is deleted after two weeks in every stage.
_ACCESS_LOG_DAYS: Literal[14] = 14
_ACCESS_LOG_FIELDS = {
    "requestId": "$context.requestId",
    "sourceIp": "$context.identity.sourceIp",
    "requestTime": "$context.requestTime",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLatencyMs": "$context.responseLatency",
    "integrationLatencyMs": "$context.integrationLatency",
    "error": "$context.error.message",
    "errorType": "$context.error.responseType",
    "integrationError": "$context.integrationErrorMessage",
}


class Api(Construct):
    """One route for each row of the table, each answered by its own function."""

    def __init__(
        self,
        scope: Construct,
        *,
        functions: Mapping[str, lambda_.IFunction],
        options: Options,
    ) -> None:
        super().__init__(scope, "Api")
        name = Stack.of(self).stack_name
        self.http = apigatewayv2.HttpApi(
            self,
            "Http",
            api_name=name,
            create_default_stage=False,
            # Otherwise calls to the API's own address would bypass a filter in front of the domain.
            disable_execute_api_endpoint=True if options.domain else None,
            cors_preflight=_cors(options.allowed_origins) if options.allowed_origins else None,
        )
        Validations.of(self.http).acknowledge(
            Acknowledgment(
                id="AwsSolutions-APIG4",
                reason="Each function authenticates and checks access itself; docs/decisions/ tells why",
            )
        )
        routes = [
            route
            for endpoint in ENDPOINTS
            for route in self.http.add_routes(
                path=f"{PREFIX}{endpoint.path}",
                methods=[apigatewayv2.HttpMethod[endpoint.method]],
                integration=HttpLambdaIntegration(endpoint.function, functions[endpoint.function]),
            )
        ]
        self.access_log = log_group(
            self,
            "AccessLogs",
            options.stage,
            name=f"/aws/vendedlogs/{name}-api",  # needs no resource policy, whose size is limited
            days=_ACCESS_LOG_DAYS,
        )
        self.stage = self._make_stage(options.stage)
        self.stage.node.add_dependency(*routes)  # its limits name the routes
        self.domain = self._make_domain(options.domain) if options.domain else None

    @property
    def address(self) -> str:
        """The address for phones."""
        return f"https://{self.domain.name}" if self.domain else self.http.api_endpoint

    def _make_domain(self, domain: Domain) -> apigatewayv2.DomainName:
        named = apigatewayv2.DomainName(
            self,
            "Domain",
            domain_name=domain.name,
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", domain.certificate_arn),
            security_policy=apigatewayv2.SecurityPolicy.TLS_1_2,
        )
        apigatewayv2.ApiMapping(self, "Mapping", api=self.http, domain_name=named, stage=self.stage)
        return named

    def _make_stage(self, stage: Stage) -> apigatewayv2.HttpStage:
        """Publish the routes, with the limits of the stage's row and an access log."""
        published = apigatewayv2.HttpStage(
            self,
            "Stage",
            http_api=self.http,
            stage_name=STAGE_NAME,
            auto_deploy=True,
            detailed_metrics_enabled=True,  # by route
            throttle=apigatewayv2.ThrottleSettings(rate_limit=stage.reads.rate, burst_limit=stage.reads.burst),
        )
        # Not by the CDK's own option: it takes an interface, for which Python needs a class.
        cfn_stage = cast("apigatewayv2.CfnStage", published.node.default_child)
        cfn_stage.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=self.access_log.log_group_arn, format=json.dumps(_ACCESS_LOG_FIELDS)
        )
        cfn_stage.route_settings = {
            endpoint.route_key: _route_settings(stage.changes) for endpoint in ENDPOINTS if endpoint.method != _SAFE
        }
        return published


def _route_settings(throttle: Throttle) -> dict[str, object]:
    return {
        "ThrottlingRateLimit": throttle.rate,
        "ThrottlingBurstLimit": throttle.burst,
        "DetailedMetricsEnabled": True,
    }


def _cors(origins: Sequence[str]) -> apigatewayv2.CorsPreflightOptions:
    """Let web pages of these origins call the API. Their scripts send the token; there are no cookies."""
    return apigatewayv2.CorsPreflightOptions(
        allow_origins=[*origins],
        allow_methods=[apigatewayv2.CorsHttpMethod[method] for method in sorted({row.method for row in ENDPOINTS})],
        allow_headers=["authorization", "content-type"],
        max_age=_CORS_MAX_AGE,
    )
