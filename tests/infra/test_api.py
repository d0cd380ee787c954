"""The API is the endpoint table, no more and no less, and its log has nothing that a member sends."""

from typing import Any

from infra.endpoints import ENDPOINTS
from tests.support.synthesized import Synthesized


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


def test_routes_that_change_something_have_limits_of_their_own(aws: Synthesized) -> None:
    [stage] = aws.resources("AWS::ApiGatewayV2::Stage").values()
    reads, changes = stage["Properties"]["DefaultRouteSettings"], stage["Properties"]["RouteSettings"]
    assert set(changes) == {row.route_key for row in ENDPOINTS if row.method != "GET"}
    assert all(each["ThrottlingRateLimit"] < reads["ThrottlingRateLimit"] for each in changes.values())
    # API Gateway refuses a limit for a route that it does not know.
    assert set(aws.resources("AWS::ApiGatewayV2::Route")) <= set(stage["DependsOn"])


def test_the_access_log_holds_nothing_that_a_member_sends(aws: Synthesized) -> None:
    [stage] = aws.resources("AWS::ApiGatewayV2::Stage").values()
    written = stage["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.requestId" in written
    assert not [word for word in ("header", "query", "path", "authorizer", "body") if word in written]
