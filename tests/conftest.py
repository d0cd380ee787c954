"""How tests run beside each other: `make test` hands them to several processes with pytest-xdist."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Each deploys or synthesizes once for all its tests, and so is the work of one process.
_TOGETHER = ("tests/e2e/", "tests/infra/")
_BY_ITSELF = "tests/infra/test_recipe.py"  # which works in a copy of the repository for two minutes


class FoldersTogether(LoadScopeScheduling):  # type: ignore[misc]  # nothing says what types pytest-xdist has
    """What shares a deployed or synthesized system goes to one process; every other test to whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(_BY_ITSELF):
            return nodeid
        return next((folder for folder in _TOGETHER if nodeid.startswith(folder)), nodeid)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-examples", action="store_true", help="Write the examples of the contract anew (make openapi)"
    )
    parser.addoption(
        "--write-snapshots",
        action="store_true",
        help="Write tests/infra/snapshots and docs/rights.md anew (make rights)",
    )
    parser.addoption("--fuzz-stories", type=int, default=0, help="Play so many new stories (make fuzz)")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FoldersTogether:
    return FoldersTogether(config, log)
