"""Running one schedule, from its seed to a verdict."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from unittest.mock import patch

from shared.config import Settings
from shared.lifecycle.tuning import State, Tuning
from shared.services import Services
from tests.simulation.accounts import unsettled
from tests.simulation.faults import Fault, Injector, Kind
from tests.simulation.grid import EventGrid
from tests.simulation.host import Host
from tests.simulation.judge import Judge, Violation
from tests.simulation.people import People
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.strangers import STRANGERS_ENDPOINT, STRANGERS_TAGS
from tests.simulation.truth import Truth
from tests.simulation.twins.calm import START
from tests.simulation.twins.cloud import TwinCloud
from tests.simulation.workload import Step
from tests.simulation.world import Invocation, SimulatedWorld

LOOK_EVERY = 300.0
CALM_HOURS = 24
"""Faults stop, and within so many hours everything has ended: the sum of all deadlines is less."""

SETTINGS = Settings(
    azure_subscription_id="11111111-2222-3333-4444-555555555555",
    azure_resource_group="twins",
    azureml_workspace="simulated",
    azure_location="eastus",
    storage_blob_uri="https://twin.blob.core.windows.net",
    storage_queue_uri="https://twin.queue.core.windows.net",
    storage_table_uri="https://twin.table.core.windows.net",
    lifecycle_topic_endpoint="https://twin.eventgrid.azure.net/api/events",
    missing_split_minutes=30,
    preparing_deadline_minutes=30,
    training_deadline_hours=3,
    deploying_deadline_minutes=60,
    testing_deadline_minutes=60,
    canary_minutes=15,
    canary_min_requests=3,
    canary_deadline_hours=2,
    smoke_samples=2,
    smoke_concurrency=1,
    smoke_run_seconds=5,
    budget_deadline_hours=5,
    idle_after_minutes=45,
    idle_grace_minutes=20,
    orphan_grace_minutes=20,
    poll_seconds=60,
    poll_max_seconds=300,
    idle_dry_run=False,
    idle_cleanup_schedule="0 */30 * * * *",
    reconcile_schedule="0 */25 * * * *",
)
"""Shorter windows and deadlines than the defaults: a schedule is to see the end of all of them. Fewer looks while
nothing happens: each is like the one before, and more schedules are worth more."""


@dataclass(frozen=True)
class Selection:
    """What of a schedule is left, while it is made smaller: faults, and ids of steps."""

    faults: frozenset[Fault]
    steps: frozenset[str]


@dataclass(frozen=True)
class Result:
    seed: int
    profile: str
    violation: Violation | None
    faults: tuple[Fault, ...]
    steps: tuple[str, ...]
    checks: Counter[str]
    effects: int
    ends: Counter[str]
    """Tunings by the state they ended in."""
    reasons: Counter[str]
    """Tunings by state and the code of its reason."""
    writes: tuple[str, ...]
    """Where the side effects were."""
    trace: tuple[str, ...]

    @property
    def kinds(self) -> Counter[Kind]:
        return Counter(fault.kind for fault in self.faults)


def run(seed: int, selection: Selection | None = None, *, traced: bool = False) -> Result:
    plan = draw_plan(seed)
    steps = tuple(step for step in plan.steps if selection is None or step.id in selection.steps)
    injector = Injector(seed, plan.rates, selection.faults if selection else None)
    world = SimulatedWorld(plan, injector, traced=traced)
    cloud = TwinCloud(world, SETTINGS.workspace_id)
    budget = plan.monthly_budget if plan.monthly_budget and injector.allows(Kind.OVER_BUDGET, "settings") else 0.0
    settings = dataclasses.replace(
        SETTINGS,
        max_active_jobs=plan.max_active_jobs,
        monthly_budget=budget,
        canary_percent=plan.canary_percent,
        canary_promote_undecided=plan.canary_promote_undecided,
    )
    truth = Truth(cloud, settings)
    with _lent(world):
        simulation = _Simulation(world, truth)
        simulation.play(steps)
        return simulation.result(plan, tuple(step.id for step in steps))


class _Simulation:
    def __init__(self, world: SimulatedWorld, truth: Truth) -> None:
        self.world = world
        self.truth = truth
        self.host = Host(world, truth.cloud, truth.settings, self._finished)
        self.grid = EventGrid(world, self.host)
        self.people = People(world, self.host, self.grid, truth)
        self.judge = Judge(world, truth, self.people)
        world.events = self.grid.publish
        world.meddle = self.people.meddle
        world.before = self.judge.before
        world.after = self._after
        world.fates.endpoints = lambda: sorted(truth.cloud.endpoints.all)
        self._settled = False
        self._effects = 0

    def play(self, steps: tuple[Step, ...]) -> None:
        world = self.world
        self._put_strangers()
        self.people.follow(steps)
        last = max((step.at for step in steps), default=0.0)
        world.scheduler.after(last + LOOK_EVERY, self._look)
        calm = START + world.plan.calm_after
        world.scheduler.at(calm, self._calm)
        with _logged_to(self.judge):
            world.scheduler.run(calm + timedelta(hours=CALM_HOURS), self._over)
            if self.judge.violation is None:
                self.judge.at_the_end()
        self.host.stop()

    def result(self, plan: Plan, steps: tuple[str, ...]) -> Result:
        struck = list(self.world.injector.struck)
        if plan.races_versions:
            struck.append(Fault(Kind.VERSIONS_RACE, "uploads"))
        return Result(
            plan.seed,
            plan.profile,
            self.judge.violation,
            tuple(dict.fromkeys(struck)),
            steps,
            self.judge.checks,
            self._effects,
            Counter(str(tuning.state) for tuning in self.truth.tunings()),
            Counter(f"{tuning.state}: {tuning.reason.code}" for tuning in self.truth.tunings() if tuning.reason),
            tuple(self.world.writes),
            tuple(self.world.trace.lines),
        )

    def _calm(self) -> None:
        self.world.trace.note("world", "FAULTS STOP")
        self.world.injector.active = False
        for instance in self.host.instances:
            instance.skew = timedelta(0)

    def _look(self) -> None:
        self._settled = self._is_settled()
        self.world.scheduler.after(LOOK_EVERY, self._look)

    def _is_settled(self) -> bool:
        """Nothing is on its way any more, so that more time would not change anything."""
        truth = self.truth
        ours = set(truth.our_endpoints())
        kept = set(filter(self.people.kept_since, ours))
        return (
            self.host.idle
            and ours == kept
            and all(job.ended for job in truth.cloud.jobs.all.values())
            and all(version.state == "taken" for version in truth.versions())
            and all(self._stays(tuning, kept) for tuning in truth.tunings())
            and not any(endpoint.state.endswith("ing") for endpoint in truth.our_endpoints().values())
            and not unsettled(truth, truth.costs())
            and not any(truth.cloud.queues.count(queue) for queue in truth.cloud.queues.names())
            and not truth.unnoticed_uploads()
        )

    @staticmethod
    def _stays(tuning: Tuning, kept: set[str]) -> bool:
        return tuning.ended or (tuning.state is State.LIVE and tuning.endpoint in kept)

    def _over(self) -> bool:
        return self._settled or self.judge.violation is not None

    def _finished(self, who: Invocation, error: BaseException | None) -> None:
        self._effects += who.steps
        self.judge.finished(who, error)

    def _after(self, operation: str, of: str, who: Invocation | None) -> None:
        self.judge.after(operation, of, who)
        if operation.startswith("wake_ups."):
            self.host.look_at_queues()

    def _put_strangers(self) -> None:
        self.truth.cloud.endpoints.put(STRANGERS_ENDPOINT, "somebody else's", STRANGERS_TAGS, {})


@contextmanager
def _lent(world: SimulatedWorld) -> Iterator[None]:
    """Handlers ask for their services at each call, and get those of the instance that they run on."""

    def services() -> Services:
        assert world.running is not None, "only functions ask"
        found = world.running.instance.services
        assert found is not None, "instances are booted before they run anything"
        return found

    with patch("shared.services.services", services):
        yield


@contextmanager
def _logged_to(handler: logging.Handler) -> Iterator[None]:
    """What the app logs goes to `handler` and nowhere else."""
    with ExitStack() as restored:
        for name in ("shared", "handlers"):
            logger = logging.getLogger(name)
            restored.enter_context(patch.object(logger, "handlers", [handler]))
            restored.enter_context(patch.object(logger, "propagate", False))
            restored.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.INFO)
        yield
