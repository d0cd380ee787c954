"""The one logger and the one set of metrics. Log keys never hold tokens, coordinates, texts or device ids."""

import traceback

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

SERVICE = "after-hours"

logger = Logger(service=SERVICE)
metrics = Metrics(namespace="AfterHours", service=SERVICE)


def count(name: str, value: int = 1) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def stack(error: BaseException) -> list[str]:
    """Where an error came from, as `file:line function`, without its message, which may quote data (a whole row)."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
