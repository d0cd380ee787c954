"""Users that are not root, no matter who runs the tests."""

import os
import subprocess
from functools import cache

# Makes a command of root that of an ordinary user, who owns the same files and has no other right on the machine.
_AS_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def is_root() -> bool:
    return os.geteuid() == 0


@cache
def as_user() -> list[str]:
    """Return what a command of root begins with to be an ordinary user's; nothing where that is not possible."""
    can = is_root() and subprocess.run([*_AS_USER, "true"], check=False, capture_output=True).returncode == 0
    return _AS_USER if can else []
