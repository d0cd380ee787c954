"""Saved queries of CloudWatch Logs Insights for people on call."""

from collections.abc import Iterable

from aws_cdk import Stack
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.metrics import Measured

# The queries by name. Log lines are JSON, from `observability` in the package and from Lambda.
_OF_FUNCTIONS = {
    "What failed": """
        fields @timestamp, function_name, code, reason, stack.0
        | filter message in ["request failed", "unexpected error", "duty failed"] | sort @timestamp desc | limit 200
    """,
    "What was left to the sweep": """
        filter message = "left to the sweep"
        | stats count(*) as times, latest(reason) as newest by metric, reason, bin(5m) | sort times desc
    """,
    "What was forbidden": """
        filter message = "request" and status = 403 | stats count(*) as times by code, bin(5m) | sort times desc
    """,
    "One request, by its id": """
        fields @timestamp, function_name, message, route, status, milliseconds, code, reason
        | filter correlation_id = "put the id here" | sort @timestamp
    """,
    "One member's requests": """
        fields @timestamp, route, status, milliseconds, code
        | filter user_id = "put the id here" | sort @timestamp desc | limit 200
    """,
    "How long routes take": """
        filter message = "request"
        | stats count(*) as requests, pct(milliseconds, 50) as median, pct(milliseconds, 99) as p99 by route
        | sort p99 desc
    """,
    "Cold starts": """
        filter type = "platform.report" and ispresent(record.metrics.initDurationMs)
        | stats count(*) as starts, pct(record.metrics.initDurationMs, 50) as median,
            max(record.metrics.initDurationMs) as longest by @log
    """,
    "What sweeps did": """
        fields @timestamp, outcome | filter message = "done" and function_name like /sweep/
        | sort @timestamp desc | limit 100
    """,
}
_OF_THE_ACCESS_LOG = {
    "Answers by route and status": """
        stats count(*) as answers, pct(responseLatencyMs, 99) as p99 by routeKey, status | sort answers desc
    """,
    "What API Gateway or Lambda refused": """
        filter ispresent(errorType) and errorType != "-"
        | stats count(*) as times by errorType, error, integrationError, routeKey | sort times desc
    """,
    "Who calls most": """
        stats count(*) as calls by sourceIp, routeKey, status | sort calls desc | limit 50
    """,
    "What was refused as too much": """
        filter status = "429" | stats count(*) as refused by routeKey, bin(1m) | sort refused desc
    """,
}


class Queries(Construct):
    """The saved queries, in a folder that is named after the stack."""

    def __init__(self, scope: Construct, measured: Measured) -> None:
        super().__init__(scope, "Queries")
        of_functions = [function.log_group for function in measured.functions.values()]
        for queries, groups in ((_OF_FUNCTIONS, of_functions), (_OF_THE_ACCESS_LOG, [measured.api.access_log])):
            for name, text in queries.items():
                self._save(name, text, groups)

    def _save(self, name: str, text: str, groups: Iterable[logs.ILogGroup]) -> None:
        logs.CfnQueryDefinition(
            self,
            name,
            name=f"{Stack.of(self).stack_name}/{name}",
            query_string=" ".join(text.split()),
            log_group_names=[group.log_group_name for group in groups],
        )
