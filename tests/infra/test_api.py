"""The API is the endpoint table, no more and no less."""

from typing import Any

from infra.endpoints import ENDPOINTS, PREFIX
from tests.support.synthesized import Synthesized


def _function_of(aws: Synthesized, route: dict[str, Any]) -> str:
    integration = route["Target"]["Fn::Join"][1][1]["Ref"]
    function = aws.template["Resources"][integration]["Properties"]["IntegrationUri"]["Fn::GetAtt"][0]
    name: str = aws.template["Resources"][function]["Properties"]["FunctionName"]
    return name


def test_every_row_of_the_table_is_one_route_to_its_own_function(aws: Synthesized) -> None:
    routes = [resource["Properties"] for resource in aws.resources("AWS::ApiGatewayV2::Route").values()]
    assert sorted((route["RouteKey"], _function_of(aws, route)) for route in routes) == sorted(
        (f"{row.method} {PREFIX}{row.path}", f"AfterHours-prod-{row.function}") for row in ENDPOINTS
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


def test_the_default_stage_is_throttled(aws: Synthesized) -> None:
    [stage] = aws.resources("AWS::ApiGatewayV2::Stage").values()
    assert stage["Properties"]["StageName"] == "$default"
    assert stage["Properties"]["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 200, "ThrottlingRateLimit": 100}


def test_the_access_log_holds_nothing_that_a_member_sends(aws: Synthesized) -> None:
    [stage] = aws.resources("AWS::ApiGatewayV2::Stage").values()
    written = stage["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.requestId" in written
    assert not [word for word in ("header", "query", "path", "identity", "authorizer", "body") if word in written]
