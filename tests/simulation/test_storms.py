"""Dozens of wake-ups at once cost dozens of looks, not hundreds: who loses to another does not go on losing."""

from __future__ import annotations

import itertools

import pytest

from tests.simulation.faults import Fault, Kind
from tests.simulation.people import size_of_storm
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.schedule import Selection, run
from tests.simulation.workload import Operate, Step

EFFECTS_OF_A_MESSAGE = 30
"""Three looks: where calls take many seconds, those of one poll of the queue lose to each other a second time."""


def storms(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if isinstance(step.deed, Operate) and step.deed.kind is Kind.STORM_OF_LOOKS]


SEEDS = list(itertools.islice((seed for seed in range(1, 1000) if storms(draw_plan(seed))), 24))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_storm_of_wake_ups_is_soon_over(seed: int) -> None:
    plan = draw_plan(seed)
    uploads = frozenset(step.id for step in plan.steps if step.id.endswith("upload"))
    calm = run(seed, Selection(frozenset(), uploads))
    (storm,) = storms(plan)
    stormy = run(seed, Selection(frozenset({Fault(Kind.STORM_OF_LOOKS, storm.id)}), uploads | {storm.id}))
    assert stormy.violation is None
    assert stormy.ends == calm.ends
    assert isinstance(storm.deed, Operate)
    messages = sum(stormy.ends.values()) * 2 * size_of_storm(storm.deed.which)
    assert stormy.effects - calm.effects < messages * EFFECTS_OF_A_MESSAGE
