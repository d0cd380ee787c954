"""The soak: members act while faults happen; then it is quiet, and all must be as promised, now and months later."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from random import Random
from threading import Event

from tools.local.background import beside
from tools.local.progress import Progress
from tools.soak import records
from tools.soak.faults import FAULTS
from tools.soak.phones import World, delete_account
from tools.soak.rules import ALWAYS, AT_REST, IN_THE_END, broken, sentences
from tools.soak.system import System

_MEMBERS = 120
_THREADS = 3
_WARM_UP = 100
_LOOK_EVERY_SECONDS = 2
_LISTEN_EVERY_SECONDS = 1
_REST_SECONDS = 240  # how long sweeps may take, each time, until nothing is undone
# After these leaps every lease and backoff is over, then every session, then all that is kept for a day, then for 90.
_LATER = (timedelta(minutes=16), timedelta(hours=7), timedelta(hours=25), timedelta(days=91))
# No call tells us that an entitlement was withdrawn, so the sweep must find out. The schedules of the sessions that are
# brought near are then for a wrong end.
_SPOIL = """
    UPDATE users SET id_verified = false
    WHERE id IN (
        SELECT user_id FROM after_hours_sessions
        WHERE ended_at IS NULL AND expires_at > now() + interval '5 minutes' AND user_id NOT LIKE '%crowd%'
        ORDER BY expires_at DESC
        LIMIT 2
    );
    UPDATE after_hours_sessions SET expires_at = now() + interval '4 minutes'
    WHERE id IN (
        SELECT id FROM after_hours_sessions
        WHERE ended_at IS NULL AND expires_at > now() + interval '5 minutes' AND user_id NOT LIKE '%crowd%'
        LIMIT 5
    )
"""


class Soak:
    """A soak of a running system. `faults` are names in FAULTS."""

    def __init__(self, system: System, seed: int, faults: Sequence[str], progress: Progress) -> None:
        self._system = system
        self._world = World(system)
        self._seed = seed
        self._faults = faults
        self._progress = progress
        self._happened: Counter[str] = Counter()
        self._found: defaultdict[str, set[str]] = defaultdict(set)

    def run(self, minutes: float) -> list[str]:
        """Soak for so many minutes, print the counts, and return the violations in sentences."""
        self._world.phones = self._world.new_phones(_MEMBERS)
        with beside(self._watch), beside(self._listen):
            self._act_and_fail(minutes)
            self._world.quiet = True
            violations = self._come_to_rest()
        changes = self._system.database.run(
            "SELECT what, count(*) FROM soak.changes GROUP BY 1"
            " UNION SELECT 'announced', count(DISTINCT event_id) FROM soak.heard"
        )
        counts = {"Answers": Counter(self._world.answers), "Changes": dict(changes), "Faults": self._happened}
        for title, numbers in counts.items():
            print(f"{title}:", *(f"  {times:7,}  {name}" for name, times in sorted(numbers.items())), sep="\n")
        return [*sentences(self._found), *sorted(set(self._world.violations)), *violations]

    def _random(self, what: str) -> Random:
        return Random(f"{self._seed} {what}")  # noqa: S311 (no secret)

    def _act_and_fail(self, minutes: float) -> None:
        with ThreadPoolExecutor(_THREADS) as pool:  # until most functions have started: there must be something to lose
            for number in range(_WARM_UP):
                pool.submit(self._world.act, self._random(f"warm-up {number}"))
        until = time.monotonic() + minutes * 60
        self._progress(f"{_MEMBERS} members, {_THREADS} at a time, for {minutes:g} minutes…")

        def repeat(act: Callable[[], None]) -> None:
            while time.monotonic() < until:
                act()

        actions = [partial(self._world.act, self._random(f"members {number}")) for number in range(_THREADS)]
        actions.append(partial(self._fail, self._random("faults"), []))
        with ThreadPoolExecutor(len(actions)) as pool:
            list(pool.map(repeat, actions))  # raises what one of them has raised

    def _fail(self, random: Random, to_come: list[str]) -> None:
        """Let a fault happen, or two at once. All of `to_come` happen before one happens again."""
        to_come[:] = to_come or random.sample(self._faults, len(self._faults))
        names = [to_come.pop()]
        if to_come and random.random() < 0.3:  # noqa: PLR2004
            names.append(to_come.pop())
        with ThreadPoolExecutor(len(names)) as pool:
            turns = {name: pool.submit(FAULTS[name], self._world, Random(random.random())) for name in names}  # noqa: S311
        for name, turn in turns.items():
            turn.result()
            self._happened[name] += 1
            self._progress(f"  {name}")
        time.sleep(random.uniform(0.5, 3))

    def _watch(self, ending: Event) -> None:
        """Look for violations of the rules that hold at any moment."""
        while not ending.wait(_LOOK_EVERY_SECONDS):
            for rule, rows in broken(self._system.database, ALWAYS).items():
                self._found[rule] |= rows

    def _listen(self, ending: Event) -> None:
        while not ending.wait(_LISTEN_EVERY_SECONDS):
            records.listen(self._system)

    def _come_to_rest(self) -> list[str]:
        """Wait until all work is done, and again after each leap of time. Return the violations that stay."""
        random = self._random("rest")
        violations: list[str] = []
        self._progress("quiet: a few go on as ever, some sessions near their end")
        for _ in range(40):
            self._world.act(random)
        for _ in range(10):
            self._world.act(random, delete_account)
        for leap in _LATER:
            self._world.leaps.leap(leap, random)
            self._system.database.run(_SPOIL)
            if violations := self._sweep(f"{leap} later"):
                break
        records.keep(self._system, "asked", self._world.asked)
        records.read_logs(self._system)
        return violations + sentences(broken(self._system.database, IN_THE_END))

    def _sweep(self, when: str) -> list[str]:
        """Redrive dead letters and sweep until nothing is undone. Return the violations that stay."""
        deadline = time.monotonic() + _REST_SECONDS
        found: list[str] = []
        while time.monotonic() < deadline:
            self._system.redrive()
            self._system.sweep()
            records.look_at_aws(self._system)
            before, found = found, sentences(broken(self._system.database, AT_REST))
            if not found:
                self._progress(f"  {when}: all is done")
                return []
            if found != before:
                self._progress(f"  {when}, not yet: {found[0]}")
            time.sleep(1)
        return [f"{each}, {when}, and {_REST_SECONDS:g} s of sweeping" for each in found]
