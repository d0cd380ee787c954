"""Two clocks: the database's, which the soak moves on, and a function's, which may be wrong."""

import time
from importlib.util import find_spec
from pathlib import Path

_SITE = """\
import datetime

import time_machine

time_machine.travel(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds={seconds}), tick=True).start()
"""


class Clock:
    """The database's time: this machine's clock plus the seconds that were leapt over (soak.leaps)."""

    def __init__(self) -> None:
        self.leapt = 0.0
        self.leaps: list[float] = []  # the time after each leap

    def now(self) -> float:
        return time.time() + self.leapt

    def leap(self, seconds: float) -> None:
        self.leapt += seconds
        self.leaps.append(self.now())


def wrong_clock(folder: Path, seconds: int) -> dict[str, str]:
    """Return the environment variables that put a function's clock off by so many seconds.

    Python imports `sitecustomize` before anything else, so the function's own code stays as it is.
    """
    if not seconds:
        return {}
    site = folder / "wrong-clock"
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE.format(seconds=seconds))
    # Link the package and its extension alone: the function must see nothing else of this virtual environment.
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
