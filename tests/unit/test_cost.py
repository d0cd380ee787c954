"""docs/cost.md is what its script computes, and the script computes what it should."""

import json
from datetime import timedelta

import pytest

from infra.stages import STAGES
from ops import cost, prices
from ops.cost import Load, month, walls


def test_the_page_is_the_script_s() -> None:
    assert cost.PAGE.read_text() == cost.page(), "run `make cost`"
    assert cost.PLOT.exists()


def test_prices_are_of_one_time() -> None:
    noted = [each.noted for each in vars(prices).values() if isinstance(each, prices.Price | prices.Quota)]
    assert max(noted) - min(noted) < timedelta(days=365)


def test_what_stands_still_is_what_the_table_of_stages_asks_for() -> None:
    cluster = STAGES["prod"].cluster
    assert cluster
    assert month(Load(0, polling=False))["database"] == pytest.approx(2 * cluster.min_acu * 730 * 0.12)
    assert month(Load(0, polling=False))["proxy"] == pytest.approx(8 * 730 * 0.015)
    assert month(Load(0, polling=False))["API"] == 0


def test_a_million_calls_cost_a_dollar_at_the_api() -> None:
    calls = Load(1_000_000 / cost._DAYS_A_MONTH / cost._CALLS, polling=False)
    assert month(calls)["API"] == pytest.approx(1.00 + 0.09)


def test_the_first_wall_of_polling_is_the_stage_s_own_limit() -> None:
    first = walls(polling=True)[0]
    assert first.what.startswith("reads a second")
    assert first.sessions * first.share == pytest.approx(STAGES["prod"].reads.rate)
    assert walls(polling=False)[0].sessions > 10 * first.sessions


def test_what_a_call_takes_is_what_the_benchmark_measured() -> None:
    measured = json.loads((cost.PAGE.parent / "performance" / "load.json").read_text())["members"]
    busiest = measured[max(measured, key=int)]
    assert f"a call makes {busiest['statements_per_call']}\n" in cost.page()
    cluster = STAGES["prod"].cluster
    assert cluster
    served = cluster.max_acu * 0.125 / (busiest["database_cpu_ms_per_call"] / 1000)
    assert next(wall.limit for wall in walls(polling=True) if wall.what.startswith("calls")) == pytest.approx(served)
