"""What every stage deploys is what was reviewed: the snapshots of templates, and the page of rights."""

import pytest

from infra import rights
from tests.support import snapshots
from tests.support.synthesized import Synthesized

# Name of the snapshot → the fixture with the template, and the one that it is a difference from.
SNAPSHOTS = {
    "prod": ("aws", None),
    "staging": ("staging", "aws"),
    "dev": ("dev", "staging"),
    "private": ("private", "staging"),
    "public": ("public", "aws"),
    "rare": ("rare", "dev"),
    "local": ("local", "aws"),
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_stage_deploys_what_was_reviewed(request: pytest.FixtureRequest, name: str) -> None:
    fixture, base = SNAPSHOTS[name]
    synthesized: Synthesized = request.getfixturevalue(fixture)
    template = (
        snapshots.difference(synthesized, request.getfixturevalue(base)) if base else snapshots.whole(synthesized)
    )
    file = snapshots.FOLDER / f"{name}.json"
    if request.config.getoption("--write-snapshots"):
        file.write_text(template)
    assert file.read_text() == template, "run `make rights`, and read the difference"


def test_the_page_of_rights_is_the_template_s(aws: Synthesized, pytestconfig: pytest.Config) -> None:
    page = rights.page(aws.template)
    if pytestconfig.getoption("--write-snapshots"):
        rights.PAGE.write_text(page)
    assert rights.PAGE.read_text() == page, "run `make rights`, and read the difference"
