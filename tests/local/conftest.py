"""Users that are not root, whoever runs the tests."""

import os
import subprocess

import pytest

# Makes a command of root that of an ordinary user, who owns the same files and has no other right on the machine.
AS_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


@pytest.fixture(scope="session")
def as_user() -> list[str]:
    """What a command begins with, so that it is not root's; nothing, where this is not root or must stay so."""
    can = (
        os.geteuid() == 0 and not subprocess.run(["env", *AS_USER, "true"], check=False, capture_output=True).returncode
    )
    return AS_USER if can else []


@pytest.fixture
def not_root(as_user: list[str]) -> list[str]:
    """The same; skips the test where it would be root's."""
    if os.geteuid() == 0 and not as_user:
        pytest.skip("this machine lets root make no user namespace")
    return as_user
