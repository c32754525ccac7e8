"""How jobs, deployments, copies, scores and metrics go: drawn from the seed and from their names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

from tests.simulation.dice import Dice
from tests.simulation.faults import Injector, Kind
from tests.simulation.twins.world import Fate, Happening, Outcome, Trouble

_SECONDS = {
    Happening.JOB: (20 * 60, 70 * 60),
    Happening.CANCEL: (20, 200),
    Happening.CREATE_ENDPOINT: (20, 200),
    Happening.UPDATE_ENDPOINT: (5, 90),
    Happening.DELETE_ENDPOINT: (30, 300),
    Happening.CREATE_DEPLOYMENT: (300, 1200),
    Happening.UPDATE_DEPLOYMENT: (300, 1200),
    Happening.DELETE_DEPLOYMENT: (30, 300),
}
_OPERATIONS = frozenset(_SECONDS) - {Happening.JOB, Happening.CANCEL}
_FORGETFUL = (60.0, 50 * 60.0)
_LATE_MINUTES = 4
"""Of zeros: below METRICS_DELAY_MINUTES, which promises that Monitor is not later than that."""


class Fates:
    """`hung_until` is when the cloud gets going again: what hangs, but for jobs, ends a little after it."""

    def __init__(self, seed: int, injector: Injector, hung_until: datetime) -> None:
        self._seed = seed
        self._injector = injector
        self._hung_until = hung_until
        self._drawn: Counter[tuple[Happening, str]] = Counter()
        self._bad: dict[str, bool] = {}
        self.endpoints: Callable[[], Iterable[str]] = tuple
        """Names of those that Monitor may leave out."""
        self.scores: defaultdict[str, list[Fate]] = defaultdict(list)
        """What scores came to, by endpoint/deployment?question."""

    def draw(self, what: Happening, of: str, now: datetime) -> Fate:
        self._drawn[what, of] += 1
        where = f"{what} {of} #{self._drawn[what, of]}"
        dice = Dice(self._seed, "fate", where)
        if what is Happening.SCORE:
            self.scores[of].append(self._score(where, dice))
            return self.scores[of][-1]
        if what is Happening.FORGET_NAME:
            return Fate(seconds=dice.between(*_FORGETFUL) if self._strikes(Kind.NAME_FORGOTTEN, where) else 0.0)
        if what is Happening.COPY:
            seconds = dice.between(5, 200) if dice.chance(0.2) else 0.0
            failed = self._strikes(Kind.COPY_FAILS, where)
            return Fate(Outcome.FAIL if failed else Outcome.SUCCEED, seconds)
        seconds = dice.between(*_SECONDS[what])
        if what is Happening.JOB:
            return self._job(where, dice, seconds)
        if what in _OPERATIONS:
            return self._operation(where, dice, seconds, now)
        return Fate(seconds=seconds)

    def trouble(self, sweep: str) -> Trouble:
        dice = Dice(self._seed, "metrics", sweep)
        late = self._strikes(Kind.METRICS_LATE, sweep)
        partial = self._strikes(Kind.METRICS_PARTIAL, sweep)
        return Trouble(
            fail=self._strikes(Kind.METRICS_MISSING, sweep),
            omit_minutes=dice.below(30) if late else 0,
            lag_minutes=1 + dice.below(_LATE_MINUTES) if late else 0,
            unmentioned=frozenset(name for name in self.endpoints() if dice.chance(0.5)) if partial else frozenset(),
        )

    def answers_badly(self, of: str) -> bool:
        """Whether a deployment, endpoint/deployment, is one that fails half of what its users ask."""
        if of not in self._bad:
            self._bad[of] = self._strikes(Kind.ANSWERS_BADLY, of)
        return self._bad[of]

    def _job(self, where: str, dice: Dice, seconds: float) -> Fate:
        if self._strikes(Kind.JOB_FAILS, where):
            return Fate(Outcome.FAIL, seconds * dice.random(), "UserError", "injected: the job failed")
        if self._strikes(Kind.JOB_HANGS, where):
            return Fate(Outcome.HANG)
        return Fate(seconds=seconds)

    def _operation(self, where: str, dice: Dice, seconds: float, now: datetime) -> Fate:
        if self._strikes(Kind.OPERATION_INSTANT, where):
            seconds = 0.0
        if self._strikes(Kind.OPERATION_FAILS, where):
            return Fate(Outcome.FAIL, seconds, "OperationFailed", "injected: the operation failed")
        if self._strikes(Kind.OPERATION_HANGS, where):
            hung = (self._hung_until - now).total_seconds() + dice.between(0, 1800)
            outcome = Outcome.HANG if dice.chance(0.5) else Outcome.SUCCEED
            return Fate(outcome, hung, "Timeout", "injected: the service gave up")
        return Fate(seconds=seconds)

    def _score(self, where: str, dice: Dice) -> Fate:
        if self._strikes(Kind.SCORE_SLOW, where):
            return Fate(seconds=dice.choice((8.0, 61.0, 70.0)))
        if self._strikes(Kind.SCORE_GARBAGE, where):
            return Fate(Outcome.FAIL, 0.3, "500", "injected", status=dice.choice((0, 200, 424, 500, 503)))
        return Fate(seconds=dice.between(0.1, 4.0))

    def _strikes(self, kind: Kind, where: str) -> bool:
        return self._injector.strikes(kind, where)
