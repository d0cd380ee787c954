"""What a soak has done and found, kept in a file: an interrupted soak goes on with the round that it was in."""

import secrets
from collections import Counter
from pathlib import Path

from pydantic import BaseModel

from tools.local.workspace import replace_file


class Round(BaseModel):
    """One round: faults, quiet, checks."""

    number: int
    minutes: float
    clock_off_seconds: int
    calls: dict[str, int] = {}
    counts: dict[str, int] = {}
    faults: dict[str, int] = {}
    violations: list[str] = []


class Results(BaseModel):
    """The rounds of one soak, which is identified by `seed` and `minutes`."""

    seed: int
    minutes: float
    rounds: list[Round] = []

    @classmethod
    def load(cls, path: Path, seed: int | None, minutes: float) -> "Results":
        """Return an unfinished soak of these minutes, and of this seed if one is given; else a new one."""
        try:
            found = cls.model_validate_json(path.read_text())
        except (FileNotFoundError, ValueError):
            found = None
        if found and found.minutes == minutes and seed in {None, found.seed} and found.left > 0:
            return found
        return cls(seed=secrets.randbits(24) if seed is None else seed, minutes=minutes)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, self.model_dump_json(indent=2))

    @property
    def left(self) -> float:
        """Minutes that are not soaked yet."""
        return self.minutes - sum(each.minutes for each in self.rounds)

    @property
    def violations(self) -> list[str]:
        return [f"Round {each.number}: {violation}" for each in self.rounds for violation in each.violations]

    def text(self) -> str:
        """Return the counts, the faults and the seed, for a terminal."""
        calls, counts, faults = Counter[str](), Counter[str](), Counter[str]()
        for each in self.rounds:
            calls.update(each.calls)
            counts.update(each.counts)
            faults.update(each.faults)
        clocks = ", ".join(f"{each.clock_off_seconds:+} s" for each in self.rounds)
        lines = [f"Seed {self.seed}, {self.minutes:g} minutes in {len(self.rounds)} rounds; clocks off: {clocks}"]
        for title, counter in (("Answers", calls), ("What happened", counts), ("Faults", faults)):
            lines += [f"{title}:", *(f"  {number:7,}  {name}" for name, number in sorted(counter.items()))]
        return "\n".join([*lines, f"{len(self.violations)} violations", *self.violations])
