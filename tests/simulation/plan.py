"""From one integer to a schedule: how big it is, what goes wrong how often, what users and operators do."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulation.dice import Dice
from tests.simulation.faults import Kind
from tests.simulation.workload import MINUTE, Step, Upload, draw_steps


@dataclass(frozen=True, kw_only=True)
class Plan:
    seed: int
    profile: str
    rates: Mapping[Kind, float] = field(default_factory=dict)
    latency: float
    """Usual seconds of a call: long ones let more of them overlap."""
    instances: int
    max_active_jobs: int
    canary_percent: int
    canary_promote_undecided: bool
    monthly_budget: float
    """0: none; enough for the deployments of one dataset; too little for any."""
    cloud_events: bool
    """Which of Event Grid's two schemas is configured."""
    faults_end: timedelta
    steps: tuple[Step, ...]

    @property
    def calm_after(self) -> timedelta:
        """When faults stop: not before everything that people do was done."""
        return max(self.faults_end, timedelta(seconds=max((step.at for step in self.steps), default=0.0)))

    @property
    def races_versions(self) -> bool:
        """Two versions of a dataset are uploaded within ten minutes."""
        firsts: dict[tuple[str, str], float] = {}
        for step in self.steps:
            if isinstance(step.deed, Upload) and step.deed.blob.count("/") == 2:
                dataset, version, _ = step.deed.blob.split("/")
                firsts.setdefault((dataset, version), step.at)
        starts = sorted((dataset, at) for (dataset, _), at in firsts.items())
        return any(a[0] == b[0] and b[1] - a[1] < 10 * MINUTE for a, b in itertools.pairwise(starts))


RATES: Mapping[Kind, float] = {
    Kind.EVENT_LOST: 0.15,
    Kind.EVENT_DOUBLED: 0.2,
    Kind.EVENT_DELAYED: 0.15,
    Kind.EVENT_REORDERED: 0.2,
    Kind.PROCESSED_TWICE: 0.1,
    Kind.REDELIVERED: 0.08,
    Kind.MESSAGE_LOST: 0.03,
    Kind.TIMER_TWICE: 0.15,
    Kind.TIMER_SKIPPED: 0.2,
    Kind.CRASH_BEFORE: 0.006,
    Kind.CRASH_AFTER: 0.03,
    Kind.CLOCK_JUMP: 0.01,
    Kind.SLOW: 0.01,
    Kind.CONFLICT: 0.05,
    Kind.THROTTLED: 0.02,
    Kind.SERVER_ERROR: 0.02,
    Kind.FORBIDDEN: 0.004,
    Kind.TIMEOUT: 0.015,
    Kind.TIMEOUT_AFTER: 0.03,
    Kind.REFUSED_FOR_LONG: 0.006,
    Kind.STORAGE_OUT: 0.001,
    Kind.OWN_RACE: 0.02,
    Kind.JOB_FAILS: 0.3,
    Kind.JOB_HANGS: 0.2,
    Kind.OPERATION_FAILS: 0.15,
    Kind.OPERATION_HANGS: 0.12,
    Kind.OPERATION_INSTANT: 0.3,
    Kind.NAME_FORGOTTEN: 0.6,
    Kind.COPY_FAILS: 0.25,
    Kind.SCORE_GARBAGE: 0.3,
    Kind.SCORE_SLOW: 0.2,
    Kind.ANSWERS_BADLY: 0.5,
    Kind.METRICS_MISSING: 0.3,
    Kind.METRICS_LATE: 0.3,
    Kind.METRICS_PARTIAL: 0.3,
    Kind.BLOB_OVERWRITTEN: 0.08,
    Kind.BLOB_DELETED: 0.04,
    Kind.ENDPOINT_DELETED: 0.004,
    Kind.DEPLOYMENT_DELETED: 0.004,
    Kind.JOB_CANCELED: 0.02,
}
"""How often a kind strikes where it may, in a schedule that has it: per event, message, tick, call or operation."""

CALM, CRASHES, FEW, STORM, EVERYTHING = "calm", "crashes", "few", "storm", "everything"


def draw_plan(seed: int) -> Plan:
    dice, canary = Dice(seed, "plan"), Dice(seed, "canary")
    profile = dice.choice((CALM, CRASHES, CRASHES, FEW, FEW, FEW, FEW, STORM, STORM, EVERYTHING))
    if seed % 100 == 0:
        profile = CALM
    percent = canary.choice((0, 20, 50))
    # Else hardly a world would have a canary and users whom it fails.
    bad = {Kind.ANSWERS_BADLY: 0.5} if percent and profile != CALM and canary.chance(0.5) else {}
    return Plan(
        seed=seed,
        profile=profile,
        rates={**_rates(profile, dice), **bad},
        latency=dice.choice((0.05, 0.5, 2.0, 8.0)) if profile != CALM else 0.05,
        instances=dice.choice((1, 2, 3)),
        max_active_jobs=dice.choice((0, 1, 2)),
        canary_percent=percent,
        canary_promote_undecided=canary.chance(0.3),
        monthly_budget=0.0 if profile == CALM else Dice(seed, "budget").choice((0.0,) * 6 + (1000.0, 1000.0, 40.0)),
        cloud_events=dice.chance(0.5),
        faults_end=timedelta(hours=dice.choice((2, 4, 6))),
        steps=draw_steps(dice, calm=profile == CALM),
    )


def _rates(profile: str, dice: Dice) -> dict[Kind, float]:
    if profile == CALM:
        return {}
    if profile == EVERYTHING:
        return {kind: rate * 0.4 for kind, rate in RATES.items()}
    if profile == CRASHES:
        more = dice.some(tuple(RATES), 2)
        return {kind: RATES[kind] for kind in (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, *more)}
    kinds = dice.some(tuple(RATES), 4 if profile == FEW else 10)
    return {kind: RATES[kind] * dice.choice((0.3, 1.0, 2.0)) for kind in kinds}
