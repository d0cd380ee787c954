"""The one logger and the one set of metrics. Log keys never hold tokens, coordinates, texts or device ids."""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from after_hours.foundation.faults import ServiceUnavailable

SERVICE = "after-hours"

logger = Logger(service=SERVICE)
metrics = Metrics(namespace="AfterHours")  # the deployment's name is their `service`: POWERTOOLS_SERVICE_NAME


def count(name: str, value: int = 1) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure_seconds(name: str, values: Iterable[float]) -> None:
    """Add each value to a metric separately, so that its percentiles are those of single values."""
    for value in values:
        metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=value)


@contextmanager
def best_effort(faults: str) -> Iterator[None]:
    """Wrap work that follows a committed change: if it fails, the call still succeeds, and the sweep does the work.

    `faults` is the metric that counts the failures.
    """
    try:
        yield
    except ServiceUnavailable as fault:
        count_fault(faults, fault)


def count_fault(faults: str, fault: ServiceUnavailable) -> None:
    """Count and log a fault that the sweep repairs. `faults` is the metric, which an alarm watches."""
    count(faults)
    logger.warning("left to the sweep", metric=faults, reason=str(fault), stack=stack(fault))


def stack(error: BaseException) -> list[str]:
    """Return the frames of an error as `file:line function`, without its message, which may quote a whole row."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
