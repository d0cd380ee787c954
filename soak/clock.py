"""Two clocks: the world's, which leaps, and a function's, which may be wrong."""

import time
from importlib.util import find_spec
from pathlib import Path

_SITE = """\
import datetime

import time_machine

time_machine.travel(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds={seconds}), tick=True).start()
"""


class Clock:
    """The time that the database tells: this machine's, and what was leapt over, in seconds."""

    def __init__(self) -> None:
        self.leapt = 0.0

    def now(self) -> float:
        return time.time() + self.leapt


def wrong_clock(folder: Path, seconds: int) -> dict[str, str]:
    """Return what a function's environment needs for its clock to be off by so many seconds.

    Python looks for `sitecustomize` before it runs anything: nothing of the function itself knows of this.
    """
    if not seconds:
        return {}
    site = folder / "wrong-clock"
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE.format(seconds=seconds))
    # The package itself and its extension, and nothing else of this environment.
    for module in ("time_machine", "_time_machine"):
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(module)
        origin = Path(spec.origin)
        target = origin.parent if origin.name == "__init__.py" else origin
        link = site / target.name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return {"PYTHONPATH": str(site)}
