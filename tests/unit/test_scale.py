"""The benchmark of scale measures everything that there is."""

import runpy

from benchmarks.scale import calls, duties
from infra.endpoints import ENDPOINTS
from local.place import REPOSITORY


def test_every_endpoint_is_measured() -> None:
    assert sorted(calls._LIFE) == sorted(endpoint.function for endpoint in ENDPOINTS)


def test_every_duty_of_the_sweep_has_something_to_do() -> None:
    sweep = runpy.run_path(str(REPOSITORY / "functions" / "sweep" / "handler.py"))
    assert {duty.name for duty in sweep["DUTIES"]} == duties.OF_LIVE_SESSIONS.keys() | duties.OF_OTHER_THINGS.keys()
