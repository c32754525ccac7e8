"""Everything that goes wrong on purpose: its kinds, and who decides when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.simulation.dice import Dice


class Kind(StrEnum):
    EVENT_LOST = "event lost"
    EVENT_DOUBLED = "event doubled"
    EVENT_DELAYED = "event delayed by minutes to hours"
    EVENT_REORDERED = "event overtaken by later ones"
    EVENT_OF_STRANGER = "event of a stranger, or forged"
    EVENT_OF_CHILD_RUN = "event of a child run"

    PROCESSED_TWICE = "message processed twice at once"
    REDELIVERED = "message redelivered after it was done"
    MESSAGE_LOST = "queue message lost"
    TIMER_TWICE = "timer fires on two instances at once"
    TIMER_SKIPPED = "timer does not fire"
    CRASH_BEFORE = "crash before a side effect"
    CRASH_AFTER = "crash after a side effect"
    APP_DOWN = "all instances down for minutes to hours"
    CLOCK_JUMP = "clock of an instance jumps"

    SLOW = "call takes minutes"
    CONFLICT = "HTTP 409"
    THROTTLED = "HTTP 429"
    SERVER_ERROR = "HTTP 5xx"
    FORBIDDEN = "HTTP 403 for a while"
    TIMEOUT = "time-out, nothing was done"
    TIMEOUT_AFTER = "time-out, but it was done"
    REFUSED_FOR_LONG = "operation refused for an hour: 403, 409 or 429"
    STORAGE_OUT = "storage refuses everything for a while"
    OWN_RACE = "write done, its retry refused"

    JOB_FAILS = "job fails"
    JOB_HANGS = "job hangs"
    OPERATION_FAILS = "long-running operation fails"
    OPERATION_HANGS = "long-running operation hangs"
    OPERATION_INSTANT = "operation ends before the call returns"
    NAME_FORGOTTEN = "deleted name is not found for a while"
    COPY_FAILS = "copy of a blob fails"

    SCORE_GARBAGE = "endpoint answers garbage or errors"
    SCORE_SLOW = "endpoint answers too late"
    ANSWERS_BADLY = "deployment fails its users' questions, not its smoke test's"
    METRICS_MISSING = "metrics refused"
    METRICS_LATE = "metrics late"
    METRICS_PARTIAL = "metrics without some endpoints"

    BLOB_OVERWRITTEN = "blob overwritten in the middle of reading"
    BLOB_DELETED = "blob deleted in the middle of reading"
    VERSIONS_RACE = "two versions of one dataset at once"
    ENDPOINT_DELETED = "operator deletes an endpoint"
    DEPLOYMENT_DELETED = "operator deletes a deployment"
    JOB_CANCELED = "operator cancels a job"
    STORM_OF_LOOKS = "dozens of wake-ups at once"
    REPLAYED = "operator replays a tuning"
    SQUATTER = "somebody else takes our endpoint's name"
    CANCELED = "operator cancels a tuning"
    OVER_BUDGET = "month's budget is too small"
    ALLOWED = "operator allows a deployment beyond the budget"
    KEPT = "operator sets a keep mark"
    ORPHANED = "endpoint of ours of which the ledger knows nothing"
    CHANGED_BY_HAND = "operator changes an endpoint's tags"
    PUT_TO_SLEEP = "operator puts an endpoint to sleep"
    WOKEN = "operator wakes an endpoint"


@dataclass(frozen=True, order=True)
class Fault:
    """`where` names the place in the schedule: an invocation's effect, an event, an operation of the cloud."""

    kind: Kind
    where: str

    def __str__(self) -> str:
        return f"{self.kind} @ {self.where}"


class Injector:
    """Decides whether a fault strikes. With `only` given, exactly these do: that is how a schedule is made smaller."""

    def __init__(self, seed: int, rates: Mapping[Kind, float], only: frozenset[Fault] | None = None) -> None:
        self.active = True
        """False once faults have stopped."""
        self.struck: list[Fault] = []
        self.kinds: set[Kind] = set()
        """Of all that struck."""
        self._seed = seed
        self._rates = rates
        self._drawn: dict[tuple[Kind, ...], tuple[tuple[Kind, float], ...]] = {}
        """Of several kinds, those that this schedule has, with their rates."""
        self._only = only

    def strikes(self, kind: Kind, where: str, scale: float = 1.0) -> bool:
        """`scale` multiplies the kind's rate of this schedule."""
        if not self.active:
            return False
        if self._only is not None:
            return Fault(kind, where) in self._only and self._note(kind, where)
        rate = self._rates.get(kind)
        if not rate or not Dice(self._seed, kind, where).chance(rate * scale):
            return False
        return self._note(kind, where)

    def among(self, kinds: tuple[Kind, ...], where: str, dice: Dice) -> Kind | None:
        """At most one of several kinds, for one throw of `dice`: effects are many."""
        if not self.active:
            return None
        if self._only is not None:
            return next((kind for kind in kinds if Fault(kind, where) in self._only and self._note(kind, where)), None)
        drawn = self._drawn.get(kinds)
        if drawn is None:
            drawn = self._drawn[kinds] = tuple((kind, self._rates[kind]) for kind in kinds if self._rates.get(kind))
        if not drawn:
            return None
        throw = dice.random()
        for kind, rate in drawn:
            throw -= rate
            if throw < 0:
                self._note(kind, where)
                return kind
        return None

    def allows(self, kind: Kind, where: str) -> bool:
        """For what the schedule holds already: it happens unless it was taken out. Counted as struck."""
        return (self._only is None or Fault(kind, where) in self._only) and self._note(kind, where)

    def retract(self) -> None:
        """The last one met nothing that it could have harmed."""
        kind = self.struck.pop().kind
        if all(fault.kind is not kind for fault in self.struck):
            self.kinds.discard(kind)

    def _note(self, kind: Kind, where: str) -> bool:
        self.struck.append(Fault(kind, where))
        self.kinds.add(kind)
        return True
