"""How late a session was ended is a metric, whoever ended it."""

import json
from collections.abc import Callable

import pytest

from tests.support.world import World

LATE = """
    INSERT INTO users (id, provider) SELECT 'late-' || n, 'google' FROM generate_series(1, %s) n;
    INSERT INTO after_hours_sessions (user_id, started_at, expires_at)
    SELECT id, now() - interval '1 hour', now() - interval '100 seconds' FROM users WHERE id LIKE 'late-%%'
    RETURNING id::text
"""


@pytest.fixture
def lags(output: Callable[[], str]) -> Callable[[], list[float]]:
    """The values of the metric so far, which is in seconds."""

    def read() -> list[float]:
        values: list[float] = []
        for line in output().splitlines():
            written = json.loads(line) if line.startswith('{"_aws"') else {}
            if "ExpiryLagSeconds" in written:
                [metrics] = written["_aws"]["CloudWatchMetrics"]
                assert {"Name": "ExpiryLagSeconds", "Unit": "Seconds"} in metrics["Metrics"]
                values += written["ExpiryLagSeconds"]
        return values

    return read


def test_the_lag_of_a_session_that_its_schedule_ends_is_measured(world: World, lags: Callable[[], list[float]]) -> None:
    [(session,)] = world.rows(LATE, 1)
    assert world.fire("expiry", session) == "expired"
    [lag] = lags()
    assert 100 <= lag < 160


def test_the_lag_of_every_session_that_the_sweep_ends_is_measured(
    world: World, lags: Callable[[], list[float]]
) -> None:
    world.rows(LATE, 250)
    assert world.sweep()["expired"] == 250
    assert len(lags()) == 250
    assert all(100 <= lag < 160 for lag in lags())


def test_no_lag_is_measured_when_nothing_was_late(world: World, lags: Callable[[], list[float]]) -> None:
    world.sweep()
    assert lags() == []
