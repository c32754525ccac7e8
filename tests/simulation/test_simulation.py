"""The simulation itself, and a campaign of SIMULATION_SEEDS schedules (1,000 unless it says otherwise)."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest

from shared.lifecycle.tuning import State
from tests.simulation.dice import Dice
from tests.simulation.faults import Kind
from tests.simulation.plan import draw_plan
from tests.simulation.schedule import Selection, run
from tests.simulation.shrink import shrink

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "1000"))
BUSY = 1
"""A seed whose schedule has every kind of fault that is drawn."""


def test_no_schedule_violates_an_invariant_and_every_kind_of_fault_is_hit() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(SEEDS)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-5_000:]


def test_a_schedule_depends_on_nothing_but_its_seed() -> None:
    first, second = run(BUSY, traced=True), run(BUSY, traced=True)
    assert first.faults
    assert first.trace == second.trace


def test_all_faults_and_deeds_of_a_schedule_make_the_same_schedule_again() -> None:
    drawn = run(BUSY, traced=True)
    chosen = run(BUSY, Selection(frozenset(drawn.faults), frozenset(drawn.steps)), traced=True)
    assert chosen.trace == drawn.trace


def test_without_its_faults_a_schedule_goes_well() -> None:
    drawn = run(BUSY)
    uploads = frozenset(step for step in drawn.steps if step.endswith("upload"))
    calm = run(BUSY, Selection(frozenset(), uploads))
    assert not calm.faults
    assert calm.violation is None
    assert set(calm.ends) <= {State.RETIRED, State.SUPERSEDED, State.REJECTED}


@pytest.mark.parametrize("seed", range(0, 1000, 200))
def test_in_a_calm_world_every_dataset_goes_live_and_is_retired_once_idle(seed: int) -> None:
    result = run(seed, Selection(frozenset(), frozenset(step.id for step in draw_plan(seed).steps)))
    assert result.profile == "calm"
    assert result.violation is None
    undecided = {State.ROLLED_BACK} if draw_plan(seed).canary_percent else set[State]()  # a canary that too few call
    assert set(result.ends) <= {State.RETIRED, State.SUPERSEDED} | undecided
    assert result.ends[State.RETIRED] >= 1


def test_a_defect_is_found_and_its_schedule_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect: a job's name is new at every submission, so that a crash after it submits a second one."""
    numbers = itertools.count(2)
    monkeypatch.setattr("shared.lifecycle.perform.names.job_name", lambda tuning, _: f"{tuning}-try{next(numbers)}")
    results = (run(seed) for seed in range(1, 200))
    found = next(result for result in results if result.violation and result.violation.invariant.startswith("I1"))
    selection, small = shrink(found, runs=150)
    assert small.violation is not None
    assert small.violation.invariant == found.violation.invariant if found.violation else False
    assert len(selection.faults) <= len(found.faults)
    assert len(selection.steps) <= 4
    assert any("FAULT" in line for line in small.trace) == any(
        fault.kind in (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.TIMEOUT_AFTER, Kind.OWN_RACE, Kind.SERVER_ERROR)
        for fault in selection.faults
    )


def test_dice_of_one_name_fall_alike_and_of_two_names_apart() -> None:
    def throws(*name: object) -> list[float]:
        dice = Dice(*name)
        return [dice.random() for _ in range(1000)]

    assert throws(1, "a") == throws(1, "a")
    assert throws(1, "a") != throws(1, "b")
    assert abs(sum(throws("mean")) / 1000 - 0.5) < 0.05
