"""What the parts share: Markdown tables, and processes of our scripts."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.local.workspace import REPOSITORY


def table(head: str, rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table. `head` names the columns, with bars between them."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([f"| {head} |", "|---" * (head.count("|") + 1) + "|", *lines])


def script(path: str, *arguments: str) -> list[str]:
    """Return the command for a script of ours in a process of its own.

    As a module of a part it would first load the rest of that part, and be measured with all of it in its memory.
    """
    paths = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "layers/after_hours/python")))
    return ["env", f"PYTHONPATH={paths}", sys.executable, "-P", str(Path(__file__).parent / path), *arguments]
