"""The world around the twins: virtual time, what goes wrong with a call, and how the cloud's own operations go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from shared.errors import DroptuneError
from tests.simulation.dice import Dice
from tests.simulation.fates import Fates
from tests.simulation.faults import Injector, Kind
from tests.simulation.outages import Outages
from tests.simulation.scheduler import Died, Scheduler, Task
from tests.simulation.trace import Trace
from tests.simulation.troubles import DONE_BEFORE, OUTAGES, REFUSALS, kinds_for, refuse
from tests.simulation.twins.calm import START

if TYPE_CHECKING:
    from shared.services import Services
    from tests.simulation.plan import Plan
    from tests.simulation.twins.world import Event, Fate, Happening, Trouble

T = TypeVar("T")

CALM_LATENCY = 0.05
LONGEST_STALL = 2400.0
"""Seconds that a process may stand still between two of its calls."""
LONGEST_ARM_WRITE = 120.0
"""Seconds: connect and read time-outs of the client, three tries. Endpoints have no ETags: a write that was decided on
and lands much later can not be told from a fresh one."""
MAX_CLOCK_ERROR = timedelta(minutes=10)


@dataclass(eq=False)
class Instance:
    """A process of the app. `skew` is how wrong its clock is; `services` are made anew after a crash."""

    number: int
    services: Services | None = None
    skew: timedelta = timedelta(0)
    running: set[Invocation] = field(default_factory=set)

    def __str__(self) -> str:
        return f"app{self.number}"


@dataclass(eq=False)
class Invocation:
    """One run of a function. `tells` counts what it left behind: ledger rows, messages and lines in the log."""

    name: str
    function: str
    of: str
    """What it is about: a tuning's id, a blob, a run."""
    instance: Instance
    faults: Dice
    pace: Dice
    started: datetime
    died: Callable[[], None]
    """To be called when its instance died, or could not be started: the sender tries again."""
    task: Task | None = None
    steps: int = 0
    tells: Counter[str] = field(default_factory=Counter)
    seen: dict[str, datetime] = field(default_factory=dict)
    """When an object was last read, by operation and object."""


class SimulatedWorld:
    """Implements the twins' World. `watch` is called around every call that is carried out."""

    def __init__(self, plan: Plan, injector: Injector, *, traced: bool) -> None:
        self.plan = plan
        self.injector = injector
        self.scheduler = Scheduler(START)
        self.trace = Trace(self.now, traced)
        self.fates = Fates(plan.seed, injector, START + plan.calm_after)
        self.outages = Outages()
        self.running: Invocation | None = None
        self._alone = False
        """Whether what runs was resumed: who started it has nothing else to do at this moment."""
        self.writes: list[str] = []
        """Where in the schedule the app wanted to change something."""
        self.crashed: Callable[[Instance], None] = lambda instance: None
        self.meddle: Callable[[Kind, str, str], bool] = lambda kind, operation, of: False
        self.before: Callable[[str, str, Invocation | None], None] = lambda operation, of, who: None
        self.after: Callable[[str, str, Invocation | None], None] = lambda operation, of, who: None
        self.events: Callable[[Event], None] = lambda event: None

    def now(self) -> datetime:
        return self.scheduler.time

    def local_time(self) -> datetime:
        """The clock of the instance that is running."""
        skew = self.running.instance.skew if self.running else timedelta(0)
        return self.scheduler.time + skew

    def effect(self, operation: str, commit: Callable[[], T], *, writes: bool, of: str = "") -> T:
        who = self.running
        if who is None:
            return commit()
        if who.task is not None and who.task.dead:
            raise Died
        who.steps += 1
        where = f"{who.name}.{who.steps} {operation}"
        if writes:
            self.writes.append(where)
        kind = self.injector.among(kinds_for(operation, writes=writes), where, who.faults)
        self._pause(who, self._slow(operation, who, writes=writes) if kind is Kind.SLOW else self._usual(who))
        if kind is None:
            refusal = self.outages.refusal(operation, self.now()) if self.injector.active else None
            if refusal is not None:
                self.trace.note(who.name, f"{operation} {of}: still refused")
                refuse(refusal, operation, who.pace)
            return self._carry_out(operation, commit, of, who)
        return self._faulty(kind, operation, commit, of, who)

    def draw(self, what: Happening, of: str) -> Fate:
        fate = self.fates.draw(what, of, self.now())
        self.trace.note("cloud", f"{what} {of}: {fate.outcome}, {fate.seconds:.0f} s {fate.code}")
        return fate

    def trouble(self) -> Trouble:
        return self.fates.trouble(self.running.name if self.running else "")

    def at(self, when: datetime, what: str, happen: Callable[[], None]) -> None:
        def later() -> None:
            self.trace.note("cloud", what)
            happen()

        self.scheduler.at(when, later)

    def emit(self, event: Event) -> None:
        self.events(event)

    def start(self, who: Invocation, code: Callable[[], None], ended: Callable[[BaseException | None], None]) -> None:
        """Run a function on its instance until it first pauses. `ended` is not called if the instance dies."""

        def over(error: BaseException | None) -> None:
            who.instance.running.discard(who)
            self.running = None
            ended(error)

        who.task = Task(code, over)
        who.instance.running.add(who)
        self._alone = False
        self._go_on(who)

    def crash(self, instance: Instance) -> None:
        """Everything that runs on it is gone. Raises Died on the task that is running, if it is one of them."""
        self.crashed(instance)
        victims, instance.running = instance.running, set()
        current = self.running
        for who in sorted(victims, key=lambda item: item.name):
            if who is not current and who.task is not None:
                self.running = who
                who.task.die()
        self.running = None
        if current in victims and current is not None and current.task is not None:
            current.task.die()

    def _carry_out(self, operation: str, commit: Callable[[], T], of: str, who: Invocation) -> T:
        self.before(operation, of, who)
        try:
            result = commit()
        except DroptuneError as error:
            self.trace.note(who.name, f"{operation} {of}: refused: {error}")
            raise
        self.trace.note(who.name, f"{operation} {of}")
        self.after(operation, of, who)
        return result

    def _faulty(self, kind: Kind, operation: str, commit: Callable[[], T], of: str, who: Invocation) -> T:
        before = len(self.trace.lines)
        self.trace.note(who.name, f"{operation} {of}: FAULT {kind}")
        if kind in DONE_BEFORE:
            try:
                self._carry_out(operation, commit, of, who)
            except DroptuneError:
                if kind is Kind.OWN_RACE:
                    raise
        if kind in (Kind.CRASH_BEFORE, Kind.CRASH_AFTER):
            self.crash(who.instance)
        if kind in REFUSALS:
            refuse(kind, operation, who.pace)
        if kind in OUTAGES:
            self.outages.begin(kind, operation, self.now(), who.pace)
            refuse(self.outages.refusal(operation, self.now()) or Kind.SERVER_ERROR, operation, who.pace)
        if kind is Kind.MESSAGE_LOST:
            return cast("T", None)
        if kind is Kind.CLOCK_JUMP:
            who.instance.skew = MAX_CLOCK_ERROR * who.pace.between(-1, 1)
        elif kind is not Kind.SLOW and not self.meddle(kind, operation, of):
            self.injector.retract()
            del self.trace.lines[before:]
        return self._carry_out(operation, commit, of, who)

    @staticmethod
    def _slow(operation: str, who: Invocation, *, writes: bool) -> float:
        bound = LONGEST_ARM_WRITE if writes and operation.startswith("arm.") else LONGEST_STALL
        return who.pace.magnitude(30, bound)

    def _usual(self, who: Invocation) -> float:
        latency = self.plan.latency if self.injector.active else CALM_LATENCY
        return latency * who.pace.between(0.1, 2)

    def _pause(self, who: Invocation, seconds: float) -> None:
        assert who.task is not None, "only what was started pauses"
        if self._alone and self.scheduler.pass_by(seconds):
            return
        self.running = None
        self.scheduler.after(seconds, lambda: self._resume(who))
        who.task.pause()

    def _resume(self, who: Invocation) -> None:
        self._alone = True
        self._go_on(who)

    def _go_on(self, who: Invocation) -> None:
        if who.task is None or who.task.dead:
            return
        self.running = who
        who.task.go_on()
        self.running = None
