"""A copy of the repository as it stands here, for tests that change it."""

import os
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Not in git, but wanted in the copy: the tools, and what is built already (a build is named after what is in it).
LINKED = (".venv", ".build", "node_modules", ".local/ministack")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True, env=environment()
    )
    return done.stdout


def environment() -> dict[str, str]:
    """Ours, without what a git hook that runs the tests would tell git of this repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def copy_repository(copy: Path) -> None:
    """Copy what is in git or could be, and link what is installed and built."""
    for name in git(REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
        if (source := REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy / name)
    for name in LINKED:
        if (REPOSITORY / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).symlink_to(REPOSITORY / name)
