"""What a start pays for the point that others see: CPU of `location.fuzz` against the plain way to the same point."""

import time
from collections.abc import Callable

from after_hours import location
from after_hours.location import Point

from attacks.plain import plain_fuzz

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
    """CPU time of one call, of one round of calls."""
    began = time.process_time()
    for _ in range(CALLS_A_ROUND):
        way(*place, user_id=MEMBER, key=KEY)
    return (time.process_time() - began) / CALLS_A_ROUND * 1000


def main() -> None:
    print("location.fuzz: CPU as a multiple of the plain way's, the best of some rounds taken in turns")
    for name, place in PLACES.items():
        # In turns, so that a busy machine hits both alike.
        rounds = [(cpu_milliseconds(location.fuzz, place), cpu_milliseconds(plain_fuzz, place)) for _ in range(ROUNDS)]
        ours, plain = (min(taken) for taken in zip(*rounds, strict=True))
        print(f"  {ours / plain:5.2f}  {name}  ({ours:.3f} ms)")


if __name__ == "__main__":
    main()
