"""The factory of every function that is not an endpoint: it gives each logging, metrics and the database."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from after_hours.foundation import clients, connecting, database
from after_hours.foundation.clients import Maker
from after_hours.foundation.database import Database
from after_hours.foundation.observability import count, logger, metrics

type JobHandler = Callable[[dict[str, Any], LambdaContext], Mapping[str, object]]
type Work = Callable[[dict[str, Any], Database], Mapping[str, object]]


def job(*uses: Maker) -> Callable[[Work], JobHandler]:
    """Make a Lambda handler of a function of the event and the database. `uses` are the AWS clients that it needs.

    Its result is logged and returned. An exception fails the invocation, so that Lambda retries it and then sends the
    event to the function's dead-letter queue, if it has one.
    """
    clients.prepare(*uses)

    def decorate(work: Work) -> JobHandler:
        @metrics.log_metrics
        @logger.inject_lambda_context(clear_state=True)
        def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, object]:  # noqa: ARG001 (Lambda's)
            try:
                outcome = work(event, database.shared(connecting.JOB))
            except Exception:
                count("JobsFailed")
                raise
            count("JobsDone")
            logger.info("done", outcome=outcome)
            return outcome

        return handler

    return decorate
