"""What a start pays for the point that others see: CPU of `location.fuzz` against the plain method for the same point.

The plain method (`attacks.plain`) ranks and measures every candidate of a box around the disc.
"""

import time
from collections.abc import Callable

from after_hours import location
from after_hours.location import Point

from attacks.plain import plain_fuzz
from benchmarks.measuring import Json, Progress

KEY = b"a location key of thirty-two byte"
MEMBER = "8c7f1d52-3b0e-4c55-9b1f-6a5d2f0c7e11"
PLACES = {
    "the equator": (0.0, 32.58),
    "London": (51.501364, -0.14189),
    "Tromsø": (69.6492, 18.9553),
    "beside a pole": (89.99, 0.0),
}
CALLS_A_ROUND = 50
ROUNDS = 40


def cpu_milliseconds(way: Callable[..., Point], place: tuple[float, float]) -> float:
    """Return the CPU time of one call, averaged over a round of calls."""
    began = time.process_time()
    for _ in range(CALLS_A_ROUND):
        way(*place, user_id=MEMBER, key=KEY)
    return (time.process_time() - began) / CALLS_A_ROUND * 1000


def measure(progress: Progress) -> Json:
    costs = {}
    for done, (name, place) in enumerate(PLACES.items(), 1):
        # In turns, so that a busy machine hits both alike.
        rounds = [
            (cpu_milliseconds(location.fuzz, place), cpu_milliseconds(plain_fuzz, place))
            for _ in range(ROUNDS // 4 if progress.quick else ROUNDS)
        ]
        ours, plain = (min(taken) for taken in zip(*rounds, strict=True))
        costs[name] = {"milliseconds": round(ours, 4), "of_the_plain_way": round(ours / plain, 3)}
        progress.tell(done, len(PLACES), f"{name}: {ours:.3f} ms, {ours / plain:.2f} of the plain way")
    return {"places": costs}


def section(results: Json) -> str:
    rows = [
        f"| {name} | {cost['milliseconds']:.3f} | {cost['of_the_plain_way']:.2f} |"
        for name, cost in results["places"].items()
    ]
    return _TEXT.format(rows="\n".join(rows))


_TEXT = """\
## The shown point

CPU of `location.fuzz`, which a start pays, against the plain way to the same point, the best of some rounds taken in
turns. Why it is so: [where a member seems to be](decisions/fuzzed-location.md), which also has the attacks on it.

| | CPU, ms | of the plain way |
|---|---|---|
{rows}
"""
