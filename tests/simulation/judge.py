"""Watches a schedule: checks the invariants at their moments, and that the app met no error that nobody foresaw."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

from azure.core.exceptions import AzureError

from shared import names
from shared.errors import DroptuneError
from shared.lifecycle.records import EndpointStatus
from tests.simulation.invariants import MOMENTS, RETIRING, Invariant, Scene, sentence
from tests.simulation.people import People
from tests.simulation.truth import Truth
from tests.simulation.twins.world import Fate
from tests.simulation.world import Invocation, SimulatedWorld

UNFORESEEN = "no function meets an error that nobody foresaw"
TOLD = frozenset({"dataset_uploaded", "job_completed"})
"""Functions that an event of Event Grid runs."""


@dataclass(frozen=True)
class Violation:
    invariant: str
    detail: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.invariant}: {self.detail}"


class Judge(logging.Handler):
    """Is the log handler of the app, too. `checks` counts how often each invariant was checked."""

    def __init__(self, world: SimulatedWorld, truth: Truth, people: People) -> None:
        super().__init__()
        self.checks: Counter[str] = Counter()
        self.violation: Violation | None = None
        self._world = world
        self._truth = truth
        self._people = people
        self._scores: dict[str, list[Fate]] = {}
        self._idle_decisions: dict[str, datetime] = {}
        self._at: defaultdict[str, list[Invariant]] = defaultdict(list)
        for invariant, moments in MOMENTS.items():
            for moment in moments:
                self._at[moment].append(invariant)

    def before(self, operation: str, of: str, who: Invocation | None) -> None:
        self._check(f"before {operation}", operation, of, who)

    def after(self, operation: str, of: str, who: Invocation | None) -> None:
        if who is not None:
            if operation in ("arm.get_endpoint", "ledger.usage"):
                who.seen[f"{operation} {of}"] = self._world.now()
            elif operation == "ledger.put" or operation.startswith("wake_ups."):
                who.tells[operation] += 1
        if operation == "scoring.score":
            scores = self._world.fates.scores
            self._scores |= {key: list(scores[key]) for key in scores if key.startswith(f"{of}?")}
        elif operation == "ledger.put" and who is not None and who.function in RETIRING:
            self._note_decision(of)
        self._check(f"after {operation}", operation, of, who)

    def finished(self, who: Invocation, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, DroptuneError):
            self._violated(UNFORESEEN, f"{who.name} raised {type(error).__name__}: {error}")
        if error is None and who.function in TOLD:
            self._check("ended", "ended", who.name, who)

    def at_the_end(self) -> None:
        self._at[""] = list(MOMENTS)
        self._check("", "", "", None)

    def emit(self, record: logging.LogRecord) -> None:
        who = self._world.running
        if who is not None:
            who.tells["log"] += 1
        if self._world.trace.wanted:
            self._world.trace.note(who.name if who else "", f"    log: {record.getMessage()}")
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, DroptuneError | AzureError):
            self._violated(UNFORESEEN, f"{type(error).__name__}: {error}")

    def _check(self, moment: str, operation: str, of: str, who: Invocation | None) -> None:
        invariants = self._at.get(moment)
        if not invariants:
            return
        scene = self._scene(operation, of, who)
        for invariant in invariants:
            name = sentence(invariant)
            self.checks[name] += 1
            for detail in invariant(scene):
                self._violated(name, detail)

    def _violated(self, name: str, detail: str) -> None:
        """The first one counts. Raised in the world, not into the app, which may catch it."""
        if self.violation is None:
            self.violation = Violation(name, detail, self._world.now())
            self._world.trace.note("VIOLATION", str(self.violation))

    def _scene(self, operation: str, of: str, who: Invocation | None) -> Scene:
        return Scene(
            self._truth,
            self._people,
            self._scores,
            self._idle_decisions,
            self._world.injector.kinds,
            self._world.now(),
            operation,
            of,
            who,
        )

    def _note_decision(self, of: str) -> None:
        table, _, dataset = of.partition("/")
        record = self._truth.record(dataset) if table == names.ENDPOINTS_TABLE else None
        if record is not None and record.status is EndpointStatus.DELETING:
            self._idle_decisions.setdefault(record.name, self._world.now())
