"""Each sample event has the outcome that `expected.json` beside it promises, in the state that it names."""

from dataclasses import replace
from pathlib import Path

import pytest
from after_hours.foundation import secrets

from tests.support.environment import JWT_SECRET, UPLOAD_BUCKET
from tests.support.handlers import send
from tests.support.world import World
from tools.local import members, postgres, samples, states
from tools.local.samples import Sample

ALL = [sample for named in samples.samples().values() for sample in named.values()]
HTTP = [sample for sample in ALL if sample.expected.status is not None]
JOBS = [sample for sample in ALL if sample.expected.status is None]


def test_every_function_has_a_valid_sample() -> None:
    functions = {path.parent.name for path in Path("functions").glob("*/handler.py")}
    assert functions == {function for function, named in samples.samples().items() if "valid" in named}


def prepare(sample: Sample, world: World) -> None:
    caller = replace(members.SEEDED[sample.expected.member], id=members.SAMPLE.id)
    members.save(world.own_connection, caller)
    states.prepare(sample.expected.given, caller.id, rows=world.rows, s3=world.s3, bucket=UPLOAD_BUCKET)


@pytest.mark.parametrize("sample", HTTP, ids=str)
def test_an_http_sample_gets_its_answer(world: World, sample: Sample) -> None:
    prepare(sample, world)
    answer = send(sample.function, sample.event(members.token(members.SAMPLE.id, JWT_SECRET)))
    assert answer.status == sample.expected.status
    if answer.status != 204:
        assert answer.body.get("code") == sample.expected.code
        assert answer.body["success"] is (answer.status < 400)


@pytest.mark.parametrize("sample", JOBS, ids=str)
def test_a_job_sample_has_its_outcome(
    world: World, sample: Sample, migrated: postgres.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(sample, world)
    if sample.function == "migrate_database":  # it alone is given the owner's secret
        owner = secrets.DatabaseSecret.model_validate(migrated.secret)
        monkeypatch.setattr(secrets.database_secret, "read", lambda **_: owner)
    event = sample.event(token="")
    if sample.expected.returns is not None:
        assert sample.expected.returns.items() <= world.run(sample.function, event).items()
    else:
        with pytest.raises(Exception, check=lambda error: type(error).__name__ == sample.expected.raises):  # noqa: B017 (`check` names it)
            world.run(sample.function, event)
