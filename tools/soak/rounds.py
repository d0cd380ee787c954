"""One round: members act while faults happen; then it is quiet, and all must be as promised, now and months later."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from threading import Event

from tools.local.background import beside
from tools.local.progress import Progress
from tools.soak import checks
from tools.soak.checks import Check
from tools.soak.faults import FAULTS, Scene
from tools.soak.journal import Journal
from tools.soak.leaps import Leaps
from tools.soak.phones import World, delete_account
from tools.soak.rules import ALWAYS
from tools.soak.system import System

MEMBERS = 120
_THREADS = 3
_WARM_UP = 100
_LOOK_EVERY_SECONDS = 2
_LISTEN_EVERY_SECONDS = 1
_REST_SECONDS = 240  # how long sweeps may take, each time, until nothing is undone

# The checks for quiet times. Cheap checks come first, since they are repeated until none finds anything.
AT_REST: tuple[Check, ...] = (checks.rows, checks.schedules, checks.objects, checks.announced)
ONCE: tuple[Check, ...] = (
    checks.answers,
    checks.reasons,
    checks.leases_of_events,
    checks.sweeps,
    checks.logs,
)
# After these leaps every lease and backoff is over, then every session, then all that is kept for a day, then for 90.
LATER = (timedelta(minutes=16), timedelta(hours=7), timedelta(hours=25), timedelta(days=91))


@dataclass
class Round:
    """The results of a round: numbers of answers, changes and faults, and the violations."""

    minutes: float
    answers: Counter[str]
    changes: Counter[str]
    faults: Counter[str]
    violations: list[str]


class Soak:
    """A round on a running system. `faults` are names in FAULTS."""

    def __init__(self, system: System, seed: str, faults: Sequence[str], progress: Progress) -> None:
        self.system = system
        self.journal = Journal()
        self.leaps = Leaps(system)
        self.world = World(system, self.journal, seed.replace(" ", "-"))
        self.happened: Counter[str] = Counter()
        self._seed = seed
        self._faults = faults
        self._progress = progress
        self._stopped = Event()
        self._found: defaultdict[str, set[str]] = defaultdict(set)

    def run(self, minutes: float) -> Round:
        """Soak for so many minutes, and return the counts and the violations."""
        self.world.join(MEMBERS)
        with beside(self._watch), beside(self._listen):
            self._act_and_fail(minutes)
            self.world.quiet = True
            violations = self._come_to_rest()
        never = checks.sentences(self._found)
        changes = Counter[str](dict(self.system.database.run("SELECT what, count(*) FROM soak.changes GROUP BY what")))
        changes["announced"] = len(self.system.heard)
        violations = [*never, *sorted(set(self.journal.violations)), *violations]
        return Round(minutes, Counter(self.journal.answers), changes, self.happened, violations)

    def _act_and_fail(self, minutes: float) -> None:
        self._warm_up()
        until = time.monotonic() + minutes * 60
        self._progress(f"{MEMBERS} members, {_THREADS} at a time, for {minutes:g} minutes…")
        with ThreadPoolExecutor(_THREADS + 1) as pool:
            threads = [pool.submit(self._act, number, until) for number in range(_THREADS)]
            threads.append(pool.submit(self._fail, until))
            try:
                wait(threads, return_when=FIRST_EXCEPTION)
            finally:
                self._stopped.set()
            for thread in threads:
                thread.result()

    def _warm_up(self) -> None:
        """Let members act until most functions have started: there must be something to lose."""
        with ThreadPoolExecutor(_THREADS) as pool:
            for number in range(_WARM_UP):
                pool.submit(self.world.act, Random(f"{self._seed} warm-up {number}"))  # noqa: S311 (no secret)

    def _act(self, number: int, until: float) -> None:
        random = Random(f"{self._seed} members {number}")  # noqa: S311 (no secret)
        while self._goes_on(until):
            self.world.act(random)

    def _goes_on(self, until: float) -> bool:
        return time.monotonic() < until and not self._stopped.is_set()

    def _fail(self, until: float) -> None:
        random = Random(f"{self._seed} faults")  # noqa: S311 (no secret)
        scene = Scene(self.system, self.leaps, self.world)
        to_come: list[str] = []
        while self._goes_on(until):
            to_come = to_come or random.sample(self._faults, len(self._faults))  # all come once before one comes twice
            names = [to_come.pop()]
            if to_come and random.random() < 0.3:  # noqa: PLR2004
                names.append(to_come.pop())
            with ThreadPoolExecutor(len(names)) as pool:
                seeds = [random.random() for _ in names]
                turns = [
                    pool.submit(FAULTS[name], scene, Random(seed))  # noqa: S311
                    for name, seed in zip(names, seeds, strict=True)
                ]
            for name, turn in zip(names, turns, strict=True):
                turn.result()
                self.happened[name] += 1
                self._progress(f"  {name}")
            time.sleep(random.uniform(0.5, 3))

    def _watch(self, ending: Event) -> None:
        """Look for violations of the rules that hold at any moment."""
        while not ending.wait(_LOOK_EVERY_SECONDS):
            for what, found in checks.breaches(self.system, ALWAYS).items():
                self._found[what] |= found

    def _listen(self, ending: Event) -> None:
        """Take what the bus delivers."""
        while not ending.wait(_LISTEN_EVERY_SECONDS):
            self.system.listen()

    def _come_to_rest(self) -> list[str]:
        """Wait until all work is done, and again after each leap of time. Return the violations that stay."""
        random = Random(f"{self._seed} rest")  # noqa: S311 (no secret)
        violations: list[str] = []
        self._progress("quiet: a few go on as ever, some sessions near their end")
        for _ in range(40):
            self.world.act(random)
        for _ in range(10):
            self.world.act(random, delete_account)
        for leap in LATER:
            self.leaps.leap(leap, random)
            self._withdraw()
            self._bring_near()
            violations = self._repeat(AT_REST, f"{leap} later")
            if violations:
                break
        for check in ONCE:
            violations += check(self.system, self.journal)
        return violations

    def _withdraw(self) -> None:
        """Withdraw an entitlement of two live members: no call tells us, so the sweep must find out."""
        self.system.database.run(
            """
            UPDATE users SET id_verified = false
            WHERE id IN (
                SELECT user_id FROM after_hours_sessions
                WHERE ended_at IS NULL AND expires_at > now() + interval '5 minutes' AND user_id NOT LIKE '%%crowd%%'
                ORDER BY expires_at DESC
                LIMIT 2
            )
            """
        )

    def _bring_near(self) -> None:
        """Let a few sessions end in four minutes: their schedules are then for a wrong end, and the sweep must act."""
        self.system.database.run(
            """
            UPDATE after_hours_sessions SET expires_at = now() + interval '4 minutes'
            WHERE id IN (
                SELECT id FROM after_hours_sessions
                WHERE ended_at IS NULL AND expires_at > now() + interval '5 minutes' AND user_id NOT LIKE '%%crowd%%'
                LIMIT 5
            )
            """
        )

    def _repeat(self, look_for: Sequence[Check], when: str) -> list[str]:
        deadline = time.monotonic() + _REST_SECONDS
        found: list[str] = []
        while time.monotonic() < deadline:
            self.system.sweep()
            before = found
            found = next((found for check in look_for if (found := check(self.system, self.journal))), [])
            if not found:
                self._progress(f"  {when}: all is done")
                return []
            if found != before:
                self._progress(f"  {when}, not yet: {found[0]}")
            time.sleep(1)
        return [f"{each}, {when}, and {_REST_SECONDS:g} s of sweeping" for each in found]
