"""Dozens of wake-ups at once cost dozens of looks, not hundreds: who loses to another does not go on losing."""

from __future__ import annotations

import itertools

import pytest

from tests.simulation.faults import Fault, Kind
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.schedule import Selection, run
from tests.simulation.workload import Operate

LONGEST_STORM = 40
EFFECTS_OF_A_LOOK = 10


def storms(plan: Plan) -> list[str]:
    return [step.id for step in plan.steps if isinstance(step.deed, Operate) and step.deed.kind is Kind.STORM_OF_LOOKS]


SEEDS = list(itertools.islice((seed for seed in range(1, 1000) if storms(draw_plan(seed))), 5))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_storm_of_wake_ups_is_over_after_one_look_for_each(seed: int) -> None:
    plan = draw_plan(seed)
    uploads = frozenset(step.id for step in plan.steps if step.id.endswith("upload"))
    calm = run(seed, Selection(frozenset(), uploads))
    (storm,) = storms(plan)
    stormy = run(seed, Selection(frozenset({Fault(Kind.STORM_OF_LOOKS, storm)}), uploads | {storm}))
    assert stormy.violation is None
    assert stormy.ends == calm.ends
    tunings = sum(stormy.ends.values())
    assert stormy.effects - calm.effects < tunings * 2 * LONGEST_STORM * EFFECTS_OF_A_LOOK
