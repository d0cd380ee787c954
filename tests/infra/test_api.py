"""The API is the endpoint table, no more and no less."""

import json
from typing import Any

from infra.endpoints import ENDPOINTS, PREFIX
from tests.support.synthesized import Synthesized

POLLED_EVERY_SECONDS = 15
ACCOUNT_BURST = 5000  # of API Gateway, unless AWS raises it


def _function_of(aws: Synthesized, route: dict[str, Any]) -> str:
    integration = route["Target"]["Fn::Join"][1][1]["Ref"]
    uri = aws.template["Resources"][integration]["Properties"]["IntegrationUri"]
    if "Ref" in uri:  # an alias, which CodeDeploy moves
        uri = {"Fn::GetAtt": [aws.template["Resources"][uri["Ref"]]["Properties"]["FunctionName"]["Ref"]]}
    name: str = aws.template["Resources"][uri["Fn::GetAtt"][0]]["Properties"]["FunctionName"]
    return name


def test_every_row_of_the_table_is_one_route_to_its_own_function(aws: Synthesized) -> None:
    routes = [resource["Properties"] for resource in aws.resources("AWS::ApiGatewayV2::Route").values()]
    assert sorted((route["RouteKey"], _function_of(aws, route)) for route in routes) == sorted(
        (row.route_key, f"AfterHours-prod-{row.function}") for row in ENDPOINTS
    )
    assert len({row.function for row in ENDPOINTS}) == len(ENDPOINTS)


def test_each_function_may_be_invoked_through_its_own_route_only(aws: Synthesized) -> None:
    allowed = [
        permission["Properties"]
        for permission in aws.resources("AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    ]
    assert len(allowed) == len(ENDPOINTS)
    assert all(permission["SourceArn"]["Fn::Join"][1][-1].split("/*/*")[1].startswith(PREFIX) for permission in allowed)


def _stage(aws: Synthesized) -> dict[str, Any]:
    [stage] = aws.resources("AWS::ApiGatewayV2::Stage").values()
    return stage


def test_reads_are_limited_to_what_many_who_poll_need(aws: Synthesized) -> None:
    limits = _stage(aws)["Properties"]["DefaultRouteSettings"]
    assert _stage(aws)["Properties"]["StageName"] == "$default"
    assert limits["ThrottlingRateLimit"] * POLLED_EVERY_SECONDS >= 20_000
    assert limits["ThrottlingBurstLimit"] <= ACCOUNT_BURST
    assert limits["DetailedMetricsEnabled"] is True


def test_routes_that_change_something_have_limits_of_their_own(aws: Synthesized) -> None:
    settings = _stage(aws)["Properties"]["RouteSettings"]
    assert set(settings) == {row.route_key for row in ENDPOINTS if row.method != "GET"}
    reads = _stage(aws)["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"]
    assert all(limits["ThrottlingRateLimit"] < reads for limits in settings.values())
    assert all(limits["DetailedMetricsEnabled"] is True for limits in settings.values())


def test_limits_are_set_when_their_routes_are_there(aws: Synthesized) -> None:
    """API Gateway refuses a limit for a route that it does not know."""
    assert set(aws.resources("AWS::ApiGatewayV2::Route")) <= set(_stage(aws)["DependsOn"])


def test_no_web_page_may_call_unless_it_is_named(aws: Synthesized, private: Synthesized) -> None:
    [closed] = aws.resources("AWS::ApiGatewayV2::Api").values()
    assert "CorsConfiguration" not in closed["Properties"]
    [opened] = private.resources("AWS::ApiGatewayV2::Api").values()
    assert opened["Properties"]["CorsConfiguration"]["AllowOrigins"] == ["https://app.example.com"]
    assert "AllowCredentials" not in opened["Properties"]["CorsConfiguration"]


def test_the_access_log_holds_nothing_that_a_member_sends(aws: Synthesized) -> None:
    written = _stage(aws)["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.requestId" in written
    assert not [word for word in ("header", "query", "path", "authorizer", "body") if word in written]


def test_a_flood_and_a_refusal_of_the_gateway_are_told_by_the_access_log(aws: Synthesized) -> None:
    """The source address is a member's, too, and is forgotten after two weeks."""
    settings = _stage(aws)["Properties"]["AccessLogSettings"]
    assert {
        "$context.identity.sourceIp", "$context.error.message", "$context.error.responseType",
        "$context.integrationErrorMessage",
    } <= set(json.loads(settings["Format"]).values())  # fmt: skip
    group = aws.template["Resources"][settings["DestinationArn"]["Fn::GetAtt"][0]]["Properties"]
    assert group["RetentionInDays"] == 14


def test_with_a_domain_there_is_no_other_address(aws: Synthesized, private: Synthesized) -> None:
    """Released apps hold a name that can be pointed elsewhere, and nobody goes around what it is pointed to."""
    [api] = private.resources("AWS::ApiGatewayV2::Api").values()
    assert api["Properties"]["DisableExecuteApiEndpoint"] is True
    [(name, domain)] = private.resources("AWS::ApiGatewayV2::DomainName").items()
    assert domain["Properties"]["DomainName"] == "hours.example.com"
    [configuration] = domain["Properties"]["DomainNameConfigurations"]
    assert (configuration["EndpointType"], configuration["SecurityPolicy"]) == ("REGIONAL", "TLS_1_2")
    [mapping] = private.resources("AWS::ApiGatewayV2::ApiMapping").values()
    assert mapping["Properties"]["DomainName"] == {"Ref": name}
    outputs = private.template["Outputs"]
    assert outputs["ApiUrl"]["Value"] == {"Fn::Join": ["", ["https://", {"Ref": name}]]}
    assert outputs["DomainTarget"]["Value"] == {"Fn::GetAtt": [name, "RegionalDomainName"]}
    [without] = aws.resources("AWS::ApiGatewayV2::Api").values()
    assert "DisableExecuteApiEndpoint" not in without["Properties"]
